/* gatehouse_driver.h - the C ABI between a driver host and a driver for a printer or a display. ABI 1.0, frozen.
 *
 * A driver is a codec: it turns a neutral document into a device's bytes and a device's bytes into a status. The
 * host owns the device: it opens, closes, reconnects, times, records. A driver opens nothing, starts no thread,
 * and keeps no pointer it was lent.
 *
 * Rules
 *  - Strings are UTF-8 with a length; nothing is NUL-terminated. Lent pointers live until the call returns.
 *  - Memory is freed by the side that allocated it. Answers go into buffers of the caller.
 *  - Every struct that may grow begins with its size. Fields are only appended; a reader looks at no byte beyond
 *    the size it was told. What cannot be done by appending gets a new symbol, ghd_driver_entry_v2.
 *  - All functions of one device are called by one thread, one at a time. The host's functions may be called from
 *    that thread only, and only between `create` and the return of `destroy`.
 *  - Nothing may be thrown or unwound across this border.
 */
#ifndef GATEHOUSE_DRIVER_H
#define GATEHOUSE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GHD_MAGIC 0x31444847u /* "GHD1", little-endian */
#define GHD_ABI_MAJOR 1
#define GHD_ABI_MINOR 0
#define GHD_ENTRY "ghd_driver_entry_v1" /* the one symbol that is looked up; a function, for dlsym is sure of those */

#if defined(_WIN32)
#define GHD_EXPORT __declspec(dllexport)
#else
#define GHD_EXPORT __attribute__((visibility("default")))
#endif

/* Lent text (UTF-8) and lent bytes. `ptr` may be NULL where `len` is 0. */
typedef struct ghd_str {
  const char *ptr;
  size_t len;
} ghd_str;
typedef struct ghd_bytes {
  const uint8_t *ptr;
  size_t len;
} ghd_bytes;

/* ---- What a call came to ------------------------------------------------------------------------------------ */

typedef int32_t ghd_code; /* 0 is well, below 0 is a fault; an unknown one is taken for GHD_E_INTERNAL */

#define GHD_OK 0
#define GHD_E_INVALID (-1)     /* the caller's mistake: an op that cannot be, a buffer that cannot be */
#define GHD_E_UNSUPPORTED (-2) /* this device cannot do it */
#define GHD_E_TIMEOUT (-3)     /* the time given was not enough */
#define GHD_E_IO (-4)          /* the way to the device failed; it may work again */
#define GHD_E_GONE (-5)        /* the device is not there */
#define GHD_E_BUSY (-6)        /* somebody else has the device */
#define GHD_E_CANCELLED (-7)   /* the host asked to stop */
#define GHD_E_PROTOCOL (-8)    /* the device answered what it must not */
#define GHD_E_NOMEM (-9)
#define GHD_E_PANIC (-10) /* the driver caught its own panic; it is not used again */
#define GHD_E_INTERNAL (-11)
#define GHD_E_CONFIG (-12) /* the settings given to `create` are wrong; the reason was logged */
#define GHD_E_PAPER_OUT (-20)
#define GHD_E_COVER_OPEN (-21)
#define GHD_E_CUTTER (-22)
#define GHD_E_JAM (-23)
#define GHD_E_OVERHEAT (-24)
#define GHD_E_OFFLINE (-25)

/* How far a document came. Only GHD_DONE_NONE may be tried again without asking a person. */
#define GHD_DONE_NONE 0      /* nothing that prints left the driver */
#define GHD_DONE_SENT 1      /* all bytes left; the device cannot or did not confirm */
#define GHD_DONE_CONFIRMED 2 /* the device said that it is physically finished */
#define GHD_DONE_UNKNOWN 3   /* it broke in the middle: may have printed */

/* What is known of the device: bits. */
#define GHD_S_ONLINE (1u << 0)
#define GHD_S_PAPER_LOW (1u << 1)
#define GHD_S_PAPER_OUT (1u << 2)
#define GHD_S_COVER_OPEN (1u << 3)
#define GHD_S_CUTTER (1u << 4)
#define GHD_S_JAM (1u << 5)
#define GHD_S_DRAWER_OPEN (1u << 6)
#define GHD_S_HOT (1u << 7)
#define GHD_S_BUSY (1u << 8)
#define GHD_S_UNKNOWN (1u << 30) /* the device tells nothing: no other bit means anything */

/* ---- The way to the device: the host's, lent to the driver ----------------------------------------------------- */

/* Flags of ghd_io.write. The host counts the bytes that print, and corrects a driver that calls a broken job
 * unprinted; bytes marked ASK (status requests, initialisation) cannot print and are not counted. */
#define GHD_W_PRINT 0u
#define GHD_W_ASK 1u

typedef struct ghd_io {
  uint32_t struct_size;
  void *ctx;
  /* Writes all or fails. `*written` is how much the device's side took, also on a fault. */
  ghd_code (*write)(void *ctx, const uint8_t *p, size_t n, uint32_t flags, uint32_t timeout_ms, size_t *written);
  /* Waits for the first byte, then takes what is there: 1 to `cap`. GHD_E_TIMEOUT where nothing came. */
  ghd_code (*read)(void *ctx, uint8_t *p, size_t cap, uint32_t timeout_ms, size_t *got);
  /* USB: a class or vendor IN request (printers: A1 00 device id, A1 01 port status). Else GHD_E_UNSUPPORTED. */
  ghd_code (*control_in)(void *ctx, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index,
                         uint8_t *p, size_t cap, uint32_t timeout_ms, size_t *got);
} ghd_io;

/* ---- What the host does for a driver ------------------------------------------------------------------------------- */

#define GHD_LOG_ERROR 1
#define GHD_LOG_WARN 2
#define GHD_LOG_INFO 3
#define GHD_LOG_DEBUG 4

/* Symbologies of GHD_OP_BARCODE. */
#define GHD_BARCODE_CODE128 1
#define GHD_BARCODE_EAN13 2
#define GHD_BARCODE_EAN8 3
#define GHD_BARCODE_UPCA 4
#define GHD_BARCODE_CODE39 5
#define GHD_BARCODE_ITF 6

/* Flags of GHD_OP_STYLE, and of a GHD_OP_TEXT that is given to `rasterise`. */
#define GHD_STYLE_BOLD (1u << 0)
#define GHD_STYLE_UNDERLINE (1u << 1)
#define GHD_STYLE_INVERT (1u << 2)

/* One piece of a document, in order. Which fields count is told at its kind; the others are 0. */
typedef struct ghd_op {
  uint32_t kind;
  uint32_t flags;
  int32_t a, b, c, d;
  ghd_bytes data;
} ghd_op;

/* Printers */
#define GHD_OP_TEXT 1    /* data: one line's text or a part of it, without line ends or control characters */
#define GHD_OP_NEWLINE 2 /* ends the line */
#define GHD_OP_FEED 3    /* a: lines */
#define GHD_OP_STYLE 4   /* flags: GHD_STYLE_*; a: width 1-8; b: height 1-8; c: font 0 or 1. Holds until the next */
#define GHD_OP_ALIGN 5   /* a: 0 left, 1 middle, 2 right; at the start of a line */
#define GHD_OP_RULE 6    /* a line across the paper; a: 0 single, 1 double */
#define GHD_OP_QR 7      /* data; a: dots of a module, 0 as large as fits well; b: correction 0 L, 1 M, 2 Q, 3 H */
#define GHD_OP_BARCODE 8 /* data: ASCII; a: GHD_BARCODE_*; b: height in dots; c: dots of the narrow bar; d: 1 text below */
#define GHD_OP_IMAGE 9   /* data: 1 bit a dot, 1 is black, most significant first, rows padded to bytes; a, b: dots */
#define GHD_OP_CUT 10    /* a: 0 partial, 1 full */
#define GHD_OP_DRAWER 11 /* opens the cash drawer; a: pin 0 or 1; b: pulse in ms. Alone in its document */
#define GHD_OP_BEEP 12   /* a: times */
#define GHD_OP_PLACE 13  /* ticket printers: what follows begins at a, b dots from the top left corner */
/* Displays */
#define GHD_OP_D_CLEAR 64
#define GHD_OP_D_LINE 65   /* data: the whole line; a: line from 1 on */
#define GHD_OP_D_SCROLL 66 /* data: a text longer than the line, to run through it; a: line; b: ms a step */
#define GHD_OP_D_BRIGHT 67 /* a: 1 to 4 */
#define GHD_OP_D_BLINK 68  /* a: ms, 0 off */
#define GHD_OP_D_CURSOR 69 /* a: 1 shown, 0 hidden */

typedef struct ghd_host {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor;
  void *ctx;
  void (*log)(void *ctx, int32_t level, ghd_str text);
  uint64_t (*now_ms)(void *ctx); /* since some moment, never back */
  /* Not 0: give up. Every function of ghd_io then answers GHD_E_CANCELLED; a driver that waits otherwise asks. */
  int32_t (*cancelled)(void *ctx);
  /* What the device told by itself (paper low, cover open): GHD_S_* as it stands now. */
  void (*status_changed)(void *ctx, uint32_t bits);
  /* UTF-8 to a code page by its number (437, 850, 858, 866, 1252 ...), composed before (NFC). What it does not have
   * becomes '?' and `*lossy` is how many did. GHD_E_UNSUPPORTED: no such page here. `out` of `in.len` is enough. */
  ghd_code (*encode)(void *ctx, uint32_t code_page, ghd_str in, uint8_t *out, size_t cap, size_t *n,
                     uint32_t *lossy);
  /* A TEXT (any script; flags and a, b as in STYLE), QR, BARCODE or IMAGE as dots: rows of `*row_bytes`, 1 is black,
   * nothing wider than `dots_max`. With `cap` 0 only the sizes are told; GHD_E_INVALID: it does not fit. */
  ghd_code (*rasterise)(void *ctx, const ghd_op *op, uint32_t dots_max, uint8_t *out, size_t cap,
                        uint32_t *row_bytes, uint32_t *rows);
} ghd_host;

/* ---- The driver ------------------------------------------------------------------------------------------------------ */

#define GHD_KIND_PRINTER 1
#define GHD_KIND_DISPLAY 2

#define GHD_RESULT_TEXT_MAX 160

typedef struct ghd_result {
  uint32_t struct_size;
  uint32_t done;                  /* GHD_DONE_* */
  uint32_t ops_done;              /* ops whose bytes all left */
  uint32_t device_bits;           /* GHD_S_* as last seen */
  int32_t native_code;            /* the device's own number of a fault, 0 for none */
  uint32_t text_len;              /* bytes of `text` */
  char text[GHD_RESULT_TEXT_MAX]; /* for people: what happened, what to do */
} ghd_result;

typedef struct ghd_dev ghd_dev; /* the driver's own */

typedef struct ghd_driver {
  uint32_t struct_size; /* sizeof in the driver's copy of this header */
  uint32_t magic;
  uint16_t abi_major, abi_minor;
  uint32_t kind;
  ghd_str id;            /* "escpos": a-z, 0-9, '-' */
  ghd_str name;          /* for people */
  ghd_str vendor, version, licence;
  ghd_str match_json;    /* what it fits: USB ids and classes, speeds, IEEE 1284 names */
  ghd_str config_schema; /* JSON Schema of `config` */
  /* No I/O yet: there may be no device. `config` is JSON. On a fault `*out` stays NULL. */
  ghd_code (*create)(const ghd_host *host, ghd_str config, ghd_dev **out);
  void (*destroy)(ghd_dev *dev);
  /* What this device is able to do, as JSON (drivers/README.md). `*n` is its length, also where `cap` is too small. */
  ghd_code (*capabilities)(ghd_dev *dev, char *json, size_t cap, size_t *n);
  /* Asks the device what it is; JSON. Never prints. */
  ghd_code (*probe)(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, char *json, size_t cap, size_t *n);
  ghd_code (*status)(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, uint32_t *bits);
  /* Prints or shows a document. `result` is filled in on faults too. */
  ghd_code (*run)(ghd_dev *dev, const ghd_io *io, const ghd_op *ops, size_t n, uint32_t timeout_ms,
                  ghd_result *result);
  /* Called when `*next_ms` of the last call is over and after every `run`: a text's next step, a display's healing,
   * bytes a device sent by itself. `*next_ms` 0: not until the next `run`. */
  ghd_code (*tick)(ghd_dev *dev, const ghd_io *io, uint32_t *next_ms);
  /* The way to the device is new: forget what was believed of it, bring it into a known state. May be repeated. */
  ghd_code (*reset)(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms);
} ghd_driver;

/* Cheap, without I/O and threads; may be called again. NULL refuses this host. */
GHD_EXPORT const ghd_driver *ghd_driver_entry_v1(uint16_t host_major, uint16_t host_minor);

#ifdef __cplusplus
}
#endif
#endif
