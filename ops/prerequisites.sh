# Sourced by ops/run and ops/test: makes sure that what cargo does not bring is there.
# As root on Debian it installs; otherwise it names the one command that does. It asks no question.

linli_need_packages() {
    local missing=()
    command -v cargo >/dev/null || {
        echo "Rust is missing: install it from https://rustup.rs (stable, 1.95 or newer) and run this again." >&2
        exit 1
    }
    command -v c++ >/dev/null || missing+=(g++)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v clang >/dev/null || missing+=(clang)
    # bindgen, which builds the RocksDB bindings, loads libclang at build time.
    ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing+=(libclang-dev)
    while [ $# -gt 0 ]; do
        case "$1" in
            python) python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv) ;;
            browser) command -v chromium >/dev/null || missing+=(chromium) ;;
            clocks) ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing+=(libfaketime) ;;
            namespaces) command -v ip >/dev/null && command -v nft >/dev/null || missing+=(iproute2 nftables) ;;
        esac
        shift
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing what is missing: ${missing[*]}" >&2
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && $install -qq; } >/dev/null || {
            echo "Could not install: ${missing[*]}. Try by hand: apt-get update && $install" >&2
            exit 1
        }
    else
        echo "Missing: ${missing[*]}. Install with: sudo $install" >&2
        exit 1
    fi
}
