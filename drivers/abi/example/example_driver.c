/* A driver for a plain-text line printer, as small as a useful driver is: it shows what belongs where.
 *
 *   cc -std=c11 -shared -fPIC -I../include example_driver.c -o libexample_driver.so
 *   gatehouse-driver-host --inspect libexample_driver.so
 *
 * It owns the printer's language: text, LF, FF, and ESC @ to begin. The host owns the line, its deadlines and the
 * count of what left. Settings: {"form_feed": true} ends a document with a form feed instead of a blank line.
 */
#include "gatehouse_driver.h"
#include <stdlib.h>
#include <string.h>

struct ghd_dev {
  ghd_host host; /* a copy: its functions may be called until `destroy` */
  int form_feed;
};

#define TEXT(literal) {literal, sizeof literal - 1}

static ghd_code create(const ghd_host *host, ghd_str config, ghd_dev **out) {
  static const char on[] = "{\"form_feed\":true}", off[] = "{\"form_feed\":false}", none[] = "{}";
  char text[sizeof off];
  size_t length = 0; /* the settings without blanks; a driver with more of them takes a JSON library */
  for (size_t i = 0; i < config.len && length < sizeof text - 1; i++)
    if (config.ptr[i] > ' ') text[length++] = config.ptr[i];
  text[length] = '\0';
  int form_feed = strcmp(text, on) == 0;
  if (!form_feed && strcmp(text, off) != 0 && strcmp(text, none) != 0) {
    ghd_str words = TEXT("the settings are {} or {\"form_feed\": true}");
    host->log(host->ctx, GHD_LOG_ERROR, words);
    return GHD_E_CONFIG;
  }
  ghd_dev *dev = malloc(sizeof *dev);
  if (dev == NULL) return GHD_E_NOMEM;
  dev->host = *host;
  dev->form_feed = form_feed;
  *out = dev;
  return GHD_OK;
}

static void destroy(ghd_dev *dev) { free(dev); }

static ghd_code capabilities(ghd_dev *dev, char *json, size_t cap, size_t *n) {
  (void)dev;
  static const char text[] = "{\"profile\":\"line-printer\",\"columns\":80,\"proof\":\"none\"}";
  *n = sizeof text - 1;
  if (*n <= cap) memcpy(json, text, *n);
  return GHD_OK;
}

static ghd_code probe(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, char *json, size_t cap, size_t *n) {
  (void)dev, (void)io, (void)timeout_ms, (void)json, (void)cap, (void)n;
  return GHD_E_UNSUPPORTED; /* a line printer tells nothing */
}

static ghd_code status(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, uint32_t *bits) {
  (void)dev, (void)io, (void)timeout_ms;
  *bits = GHD_S_UNKNOWN;
  return GHD_OK;
}

/* Text in code page 437; the host makes it, and counts what the page does not have. */
static ghd_code text(ghd_dev *dev, const ghd_io *io, ghd_bytes data, uint32_t timeout_ms) {
  uint8_t line[1024];
  size_t n = 0, written = 0;
  uint32_t lossy = 0;
  ghd_str in = {(const char *)data.ptr, data.len};
  if (data.len > sizeof line) return GHD_E_INVALID;
  ghd_code code = dev->host.encode(dev->host.ctx, 437, in, line, sizeof line, &n, &lossy);
  return code == GHD_OK ? io->write(io->ctx, line, n, GHD_W_PRINT, timeout_ms, &written) : code;
}

static ghd_code feed(const ghd_io *io, char what, int32_t times, uint32_t timeout_ms) {
  size_t written;
  ghd_code code = GHD_OK;
  for (; times > 0 && code == GHD_OK; times--)
    code = io->write(io->ctx, (const uint8_t *)&what, 1, GHD_W_PRINT, timeout_ms, &written);
  return code;
}

static ghd_code run(ghd_dev *dev, const ghd_io *io, const ghd_op *ops, size_t n, uint32_t timeout_ms,
                    ghd_result *result) {
  ghd_code code = GHD_OK;
  for (size_t i = 0; i < n && code == GHD_OK; i++) {
    switch (ops[i].kind) {
    case GHD_OP_TEXT: code = text(dev, io, ops[i].data, timeout_ms); break;
    case GHD_OP_NEWLINE: code = feed(io, '\n', 1, timeout_ms); break;
    case GHD_OP_FEED: code = feed(io, '\n', ops[i].a, timeout_ms); break;
    case GHD_OP_CUT: code = feed(io, dev->form_feed ? '\f' : '\n', 1, timeout_ms); break;
    default: break; /* what a line printer cannot do is left out: `capabilities` said so */
    }
    if (code == GHD_OK) result->ops_done = (uint32_t)i + 1;
  }
  result->device_bits = GHD_S_UNKNOWN;
  result->text_len = 0;
  /* The host counts what left: NONE becomes UNKNOWN where anything did. */
  result->done = code == GHD_OK ? GHD_DONE_SENT : GHD_DONE_NONE;
  return code;
}

static ghd_code tick(ghd_dev *dev, const ghd_io *io, uint32_t *next_ms) {
  (void)dev, (void)io;
  *next_ms = 0; /* nothing to do between documents */
  return GHD_OK;
}

static ghd_code reset(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms) {
  (void)dev;
  static const uint8_t init[] = {0x1b, '@'};
  size_t written;
  return io->write(io->ctx, init, sizeof init, GHD_W_ASK, timeout_ms, &written); /* prints nothing */
}

static const ghd_driver driver = {
    .struct_size = sizeof(ghd_driver),
    .magic = GHD_MAGIC,
    .abi_major = GHD_ABI_MAJOR,
    .abi_minor = GHD_ABI_MINOR,
    .kind = GHD_KIND_PRINTER,
    .id = TEXT("example"),
    .name = TEXT("Plain-text line printer"),
    .vendor = TEXT("Gatehouse"),
    .version = TEXT("1.0.0"),
    .licence = TEXT("Apache-2.0 OR MIT"),
    .match_json = TEXT("{}"),
    .config_schema = TEXT("{\"type\":\"object\",\"additionalProperties\":false,"
                          "\"properties\":{\"form_feed\":{\"type\":\"boolean\"}}}"),
    .create = create,
    .destroy = destroy,
    .capabilities = capabilities,
    .probe = probe,
    .status = status,
    .run = run,
    .tick = tick,
    .reset = reset,
};

const ghd_driver *ghd_driver_entry_v1(uint16_t host_major, uint16_t host_minor) {
  (void)host_minor;
  return host_major == GHD_ABI_MAJOR ? &driver : NULL;
}
