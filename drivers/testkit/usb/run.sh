#!/bin/sh
# Drivers and their host against a real USB stack, without hardware and without rights: a virtual machine in software
# (QEMU) boots Debian's own kernel with its dummy host controller and its printer and serial gadgets, and `cases.rs`
# runs inside. Prints TAP; ends with 0 well, 1 a case failed, 77 it cannot be run here (and why).
#
#   drivers/testkit/usb/run.sh
#
# Kernel and busybox are Debian's packages, taken once into a folder of their own below TMPDIR and never installed. QEMU
# has to be installed (`apt-get install qemu-system-x86`); as root the script does that itself.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cache=${GATEHOUSE_USB_CACHE:-${TMPDIR:-/tmp}/gatehouse-usb}
seconds_max=300
# In this order: each needs those before it.
modules="usb-common usbcore udc-core dummy_hcd configfs libcomposite usb_f_printer u_serial usb_f_acm usblp cdc-acm"

cannot() {
    echo "1..0 # SKIP $*"
    exit 77
}

# === What the machine is made of ===

[ "$(uname -m)" = x86_64 ] || cannot "the recipe is for x86_64, this is $(uname -m)"
for tool in apt-get apt-cache dpkg cc cargo gzip timeout; do
    command -v "$tool" > /dev/null || cannot "$tool is not here"
done
mkdir -p "$cache/debs"

if ! command -v qemu-system-x86_64 > /dev/null; then
    [ "$(id -u)" = 0 ] || cannot "QEMU is not installed: apt-get install qemu-system-x86"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends qemu-system-x86 \
        > "$cache/apt.log" 2>&1 || cannot "apt-get install qemu-system-x86 failed: $cache/apt.log"
fi

# The kernel that the meta-package stands for today.
kernel=$(apt-cache depends linux-image-amd64 2> /dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || cannot "apt knows no linux-image-amd64: apt-get update, with Debian in sources.list"
if [ ! -e "$cache/$kernel.ready" ]; then
    rm -rf "$cache/root" "$cache/debs"
    mkdir -p "$cache/root" "$cache/debs"
    # As root, apt fetches as a user of its own, who has to be able to write here.
    [ "$(id -u)" != 0 ] || chmod 777 "$cache/debs"
    (cd "$cache/debs" && timeout 600 apt-get download "$kernel" busybox-static) > "$cache/apt.log" 2>&1 \
        || cannot "apt-get download $kernel busybox-static failed: $(tail -n 1 "$cache/apt.log")"
    for package in "$cache"/debs/*.deb; do
        dpkg -x "$package" "$cache/root"
    done
    : > "$cache/$kernel.ready"
fi
busybox=$cache/root/bin/busybox
image=$cache/root/boot/vmlinuz-${kernel#linux-image-}

# === What runs in it ===

cd "$root"
cargo build --quiet -p driver-host -p driver-testkit --example usb-cases --bin gatehouse-driver-host
target=${CARGO_TARGET_DIR:-$root/target}/debug
tree=$cache/tree
rm -rf "$tree"
mkdir -p "$tree/bin" "$tree/modules"
cp "$busybox" "$tree/bin/busybox"
cp "$here/init" "$tree/init"
cp "${GATEHOUSE_DRIVER_HOST:-$target/gatehouse-driver-host}" "$tree/host"
cp "$target/examples/usb-cases" "$tree/cases"
cc -O1 -Wall -Wextra -o "$tree/gadget" "$here/gadget.c"
for kind in PRINTER DISPLAY; do
    name=$(echo "$kind" | tr '[:upper:]' '[:lower:]')
    cc -std=gnu11 -O1 -shared -fPIC -pthread -I "$root/drivers/abi/include" -DKIND="GHD_KIND_$kind" \
        -o "$tree/$name.so" "$root/drivers/misbehaving/misbehaving.c"
done
chmod +x "$tree/init"
# The libraries they are linked to, where they are looked for.
for program in host cases gadget printer.so; do
    ldd "$tree/$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$tree$(dirname "$library")"
        cp -L "$library" "$tree$library"
    done
done
strip "$tree/host" "$tree/cases" 2> /dev/null || true
for module in $modules; do
    file=$(find "$cache/root/lib/modules" -name "$module.ko*" | head -n 1)
    case $file in
        *.ko) cp "$file" "$tree/modules/$module.ko" ;;
        *.ko.xz) xz -dc "$file" > "$tree/modules/$module.ko" ;;
        *) cannot "$kernel has no module $module" ;;
    esac
    echo "$module" >> "$tree/modules/order"
done
(cd "$tree" && find . | "$busybox" cpio -o -H newc 2> /dev/null | gzip -1) > "$cache/initrd.gz"

# === The machine ===

boot() {
    status=0
    timeout "$seconds_max" qemu-system-x86_64 -accel tcg -cpu qemu64 -m 256 -nographic -no-reboot -nic none \
        -kernel "$image" -initrd "$cache/initrd.gz" \
        -append "console=ttyS0 quiet edd=off oops=panic panic=1 mitigations=off tsc=unstable" \
        < /dev/null > "$cache/console" 2>&1 || status=$?
    tr -d '\r' < "$cache/console" | sed -n 's/.*TAP version 13/TAP version 13/; /^TAP/,$p' > "$cache/tap"
    grep -E '^(TAP|1\.\.|ok|not ok|Bail out!|#)' "$cache/tap" || true
    # Debian 6.1's printer gadget corrupts a list of its own now and then when it is pulled out: that judges nobody here.
    if grep -q 'Kernel panic' "$cache/console"; then
        cannot "the machine's own kernel died: $cache/console"
    fi
    [ "$status" = 0 ] || { echo "# the machine was ended after $seconds_max s or failed ($status): $cache/console"; return 1; }
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$cache/tap" | head -n 1)
    well=$(grep -c '^ok ' "$cache/tap" || true)
    [ -n "$planned" ] && [ "$well" = "$planned" ] || { echo "# $well of ${planned:-no} cases are well: $cache/console"; return 1; }
}

boot && exit 0
# Now and then (1 of 14 runs) the emulated controller, dummy_hcd, does not give back a transfer that was cancelled, libusb
# waits for it, and no later case has its device. At a venue the supervisor ends such a host; here nobody does. Where that
# case is the first to fail, once more and once only: a host that is to blame fails again.
if [ "$(grep -m 1 '^not ok ' "$cache/tap")" = "not ok 9 - a jam costs the deadline, and a person is asked" ]; then
    echo "# the jam's case failed: the machine is started once more"
    boot && exit 0
fi
exit 1
