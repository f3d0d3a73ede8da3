//! A disk of its own for a node, where root is there: an ext4 image on a loop device. Its power can be cut.
//!
//! A power cut is a photograph of the image: what the program wrote and never asked to be made durable is in the memory of
//! the kernel and not in the photograph. The file system writes its journal of its own accord only every five minutes, so
//! that little more than what was asked for is there. The photograph is taken while the program is stopped, and again
//! if the kernel wrote anything meanwhile: no disk ever looked like a mixture of two moments.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::system::run;

/// Size of an image, which is a sparse file: room for what the store allocates ahead and for weeks of events.
const IMAGE_BYTES: u64 = 4 << 30;
/// Inodes of an image. A store has a few hundred files; more would only be more to photograph.
const INODES: u32 = 16_384;
/// Longest wait for a moment in which the kernel writes nothing while a photograph is taken.
const PHOTOGRAPH_TIMEOUT: Duration = Duration::from_secs(60);
/// What the names of images end in, after the number of the process that made them.
const SUFFIX: &str = "disk.ext4";

/// A mounted image; unmounted when dropped. The image file stays.
pub struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
}

/// Whether this process may mount images: it is root, and there are loop devices and `mkfs.ext4`.
pub fn available() -> bool {
    let Ok(root) = tempfile::tempdir() else { return false };
    Disk::at(&root.path().join("tried"), 64 << 20).is_ok()
}

impl Disk {
    /// Makes an empty disk for a node and mounts it where the node's data directory will be. What processes that were
    /// killed left mounted is unmounted first.
    ///
    /// # Errors
    /// When the system refuses one of the steps.
    pub fn for_node(mounted_at: &Path) -> anyhow::Result<Self> {
        Self::at(mounted_at, IMAGE_BYTES)
    }

    fn at(mounted_at: &Path, bytes: u64) -> anyhow::Result<Self> {
        unmount_after_the_dead();
        let image = mounted_at.with_extension(format!("{}.{SUFFIX}", std::process::id()));
        std::fs::File::create(&image)?.set_len(bytes)?;
        std::fs::create_dir_all(mounted_at)?;
        let inodes = INODES.to_string();
        run(
            &["mkfs.ext4", "-q", "-F", "-m", "0", "-N", &inodes, "-E", "lazy_itable_init=0,lazy_journal_init=0"],
            &image,
        )?;
        let disk = Self { image, mounted_at: mounted_at.to_owned() };
        disk.mount()?;
        // A data directory is empty before it is one.
        std::fs::remove_dir(disk.mounted_at.join("lost+found"))?;
        Ok(disk)
    }

    fn mount(&self) -> anyhow::Result<()> {
        let at = self.mounted_at.to_str().context("the path is not UTF-8")?;
        let image = self.image.to_str().context("the path is not UTF-8")?;
        run(&["mount", "-o", "loop,commit=300,noatime", image], Path::new(at))
    }

    /// The image as a power cut at this moment would leave it. The programs that write there must be stopped.
    ///
    /// # Errors
    /// When the copy fails, or the kernel never pauses.
    pub fn photograph(&self) -> anyhow::Result<PathBuf> {
        let photograph = self.image.with_extension("photograph");
        let began = Instant::now();
        let to = photograph.to_str().context("the path is not UTF-8")?;
        loop {
            let before = self.written()?;
            let image = self.image.to_str().context("the path is not UTF-8")?;
            run(&["cp", "--sparse=always", image], Path::new(to))?;
            if self.written()? == before {
                return Ok(photograph);
            }
            if began.elapsed() > PHOTOGRAPH_TIMEOUT {
                bail!("{} is never quiet enough for a photograph", self.image.display());
            }
        }
    }

    /// Puts a photograph in the place of the disk: everything that was not on it is gone. No program may use the disk.
    ///
    /// # Errors
    /// When the system refuses, as it does while a file is open.
    pub fn put_back(&self, photograph: &Path) -> anyhow::Result<()> {
        run(&["umount"], &self.mounted_at)?;
        std::fs::rename(photograph, &self.image)?;
        self.mount()
    }

    /// Writes that the device took so far or is busy with: they change while anything is written.
    fn written(&self) -> anyhow::Result<[u64; 3]> {
        let device = self.device()?;
        let text = std::fs::read_to_string(format!("/sys/block/{device}/stat"))?;
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        match numbers.get(4..9) {
            Some([writes, _, sectors, _, in_flight]) => Ok([*writes, *sectors, *in_flight]),
            _ => bail!("/sys/block/{device}/stat says {text:?}"),
        }
    }

    /// Such as `loop3`.
    fn device(&self) -> anyhow::Result<String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let at = self.mounted_at.to_str().context("the path is not UTF-8")?;
        let mounted = mounts.lines().rev().find_map(|line| {
            let mut words = line.split(' ');
            let (device, place) = (words.next()?, words.next()?);
            (place == at).then(|| device.trim_start_matches("/dev/").to_owned())
        });
        mounted.with_context(|| format!("{at} is not mounted"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = run(&["umount", "-l"], &self.mounted_at) {
            eprintln!("a disk of the laboratory stays mounted: {error:#}");
        }
    }
}

/// Unmounts images of processes that are no more. What cannot be unmounted stays.
fn unmount_after_the_dead() {
    let Ok(devices) = std::fs::read_dir("/sys/block") else { return };
    for device in devices.filter_map(Result::ok) {
        let Ok(image) = std::fs::read_to_string(device.path().join("loop/backing_file")) else { continue };
        if is_of_the_dead(image.trim()) {
            let device = Path::new("/dev").join(device.file_name());
            if let Err(error) = run(&["umount", "-l"], &device) {
                eprintln!("left by a process that was killed, and still mounted: {error:#}");
            }
        }
    }
}

/// Whether an image is one of ours, and the process that made it is no more.
fn is_of_the_dead(image: &str) -> bool {
    let image = image.strip_suffix(" (deleted)").unwrap_or(image);
    let name = image.strip_suffix(SUFFIX).and_then(|name| name.strip_suffix('.'));
    let process = name.and_then(|name| name.rsplit('.').next()).and_then(|process| process.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn only_images_of_dead_processes_of_ours_are_unmounted() {
        let own = std::process::id();
        assert!(!is_of_the_dead(&format!("/tmp/x/linhu.{own}.disk.ext4")), "this process lives");
        assert!(is_of_the_dead("/tmp/x/linhu.4999999.disk.ext4"), "no system has a process of that number");
        assert!(is_of_the_dead("/tmp/x/linhu.4999999.disk.ext4 (deleted)"), "its folder may be gone already");
        assert!(["/var/lib/disk.ext4", "/x/4999999.ext4", ""].iter().all(|image| !is_of_the_dead(image)));
    }

    #[test]
    #[ignore = "needs root: loop devices"]
    fn after_a_power_cut_only_what_was_made_durable_is_there() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().join("node");
        let disk = Disk::for_node(&at).unwrap();
        // Given a file that was made durable, and one that was only written,
        let mut durable = File::create(at.join("durable")).unwrap();
        durable.write_all(b"kept").unwrap();
        durable.sync_all().unwrap();
        File::open(&at).unwrap().sync_all().unwrap();
        File::create(at.join("written")).unwrap().write_all(b"lost").unwrap();
        drop(durable);
        // when the power is cut,
        let photograph = disk.photograph().unwrap();
        disk.put_back(&photograph).unwrap();
        // then the first is there, and of the second at most a name.
        assert_eq!(std::fs::read(at.join("durable")).unwrap(), b"kept");
        assert_ne!(std::fs::read(at.join("written")).unwrap_or_default(), b"lost");
    }
}
