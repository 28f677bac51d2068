/* gadget - two system calls for the cases, which are Rust without unsafe code.
 *
 *   gadget port BITS < /dev/g_printer0     the port status the printer gadget answers with (printer class 1.02, 4.2.2)
 *   gadget claim /dev/bus/usb/001/002 0    claims an interface without asking who has it: 0 well, 16 EBUSY, else errno */
#include <errno.h>
#include <fcntl.h>
#include <linux/usb/g_printer.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "port") == 0) {
    unsigned long bits = strtoul(argv[2], NULL, 0);
    return ioctl(0, GADGET_SET_PRINTER_STATUS, (unsigned char)bits) < 0 ? errno : 0;
  }
  if (argc == 4 && strcmp(argv[1], "claim") == 0) {
    unsigned interface = (unsigned)strtoul(argv[3], NULL, 0);
    int device = open(argv[2], O_RDWR);
    return device < 0 || ioctl(device, USBDEVFS_CLAIMINTERFACE, &interface) < 0 ? errno : 0;
  }
  fprintf(stderr, "gadget port BITS | gadget claim NODE INTERFACE\n");
  return 255;
}
