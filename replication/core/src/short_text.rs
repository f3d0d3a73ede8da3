//! Short codes kept in place: an event names its area and kind, and an allocation for each would cost as much as hashing
//! the event.

use std::fmt;

/// ASCII text without NUL of at most `MAX` bytes, which is below 256. Ordered like the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShortText<const MAX: usize> {
    /// Filled up with zeros, which sort before every character.
    bytes: [u8; MAX],
    len: u8,
}

impl<const MAX: usize> ShortText<MAX> {
    /// Text of which every byte has the given shape, which must be ASCII and not NUL; none if there is no text, it is too
    /// long or another byte stands in it.
    pub(crate) fn new(text: &str, shape: impl Fn(u8) -> bool) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(shape) {
            return None;
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: text.len() as u8 })
    }

    pub(crate) fn as_str(&self) -> &str {
        // It was text when it came.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl<const MAX: usize> fmt::Debug for ShortText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_text_and_sorts_like_it(a in "[a-z0-9_]{0,34}", b in "[a-z0-9_]{0,3}") {
            let [short_a, short_b] = [&a, &b].map(|text| ShortText::<32>::new(text, |byte| byte.is_ascii_graphic()));
            prop_assert_eq!(short_a.is_some(), (1..=32).contains(&a.len()));
            if let (Some(short_a), Some(short_b)) = (short_a, short_b) {
                prop_assert_eq!(short_a.as_str(), &a);
                prop_assert_eq!(short_a.cmp(&short_b), a.cmp(&b));
                prop_assert_eq!(format!("{short_a:?}"), format!("{a:?}"));
            }
        }
    }
}
