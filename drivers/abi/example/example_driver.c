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

/* Lines of one feed, at most. */
#define LINES_MAX 255

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

/* The document as the printer's bytes, made whole before any of them leaves: what cannot be printed is refused while
 * nothing is lost. `page` has room for all texts and LINES_MAX bytes for each op. */
static ghd_code compose(ghd_dev *dev, const ghd_op *ops, size_t n, uint8_t *page, size_t room, size_t *len) {
  for (size_t i = 0; i < n; i++) {
    const ghd_op *op = &ops[i];
    ghd_str in = {(const char *)op->data.ptr, op->data.len};
    size_t bytes = 0;
    uint32_t lossy = 0;
    ghd_code code;
    switch (op->kind) {
    case GHD_OP_TEXT: /* in code page 437: the host makes it, and counts what the page does not have */
      code = dev->host.encode(dev->host.ctx, 437, in, page + *len, room - *len, &bytes, &lossy);
      if (code != GHD_OK) return code;
      for (; bytes > 0; bytes--, ++*len) /* a guest's name must not command the printer */
        if (page[*len] < ' ' || page[*len] == 0x7f) page[*len] = '?';
      break;
    case GHD_OP_FEED:
      if (op->a < 0 || op->a > LINES_MAX) return GHD_E_INVALID;
      memset(page + *len, '\n', (size_t)op->a);
      *len += (size_t)op->a;
      break;
    case GHD_OP_NEWLINE: page[(*len)++] = '\n'; break;
    case GHD_OP_CUT: page[(*len)++] = dev->form_feed ? '\f' : '\n'; break;
    case GHD_OP_STYLE:
    case GHD_OP_ALIGN:
    case GHD_OP_RULE:
    case GHD_OP_BEEP: break; /* without these a document says the same */
    default: return GHD_E_UNSUPPORTED; /* without a code or a picture it does not, and a later header's op is unknown */
    }
  }
  return GHD_OK;
}

static void tell(ghd_result *result, uint32_t done, uint32_t ops_done, const char *text) {
  result->done = done;
  result->ops_done = ops_done;
  result->device_bits = GHD_S_UNKNOWN;
  result->text_len = (uint32_t)strlen(text); /* all of ours are shorter than GHD_RESULT_TEXT_MAX */
  memcpy(result->text, text, result->text_len);
}

static ghd_code run(ghd_dev *dev, const ghd_io *io, const ghd_op *ops, size_t n, uint32_t timeout_ms,
                    ghd_result *result) {
  size_t room = 1, len = 0, written = 0;
  tell(result, GHD_DONE_NONE, 0, "");
  for (size_t i = 0; i < n; i++) room += ops[i].data.len + LINES_MAX;
  uint8_t *page = malloc(room);
  if (page == NULL) return GHD_E_NOMEM;
  ghd_code code = compose(dev, ops, n, page, room, &len);
  if (code != GHD_OK)
    tell(result, GHD_DONE_NONE, 0, "a line printer cannot print this document");
  else if (len > 0)
    code = io->write(io->ctx, page, len, GHD_W_PRINT, timeout_ms, &written);
  free(page);
  if (code == GHD_OK)
    tell(result, GHD_DONE_SENT, (uint32_t)n, "");
  else if (written > 0) /* NONE would have it printed again, and there may be two of it; why, the host knows better */
    tell(result, GHD_DONE_UNKNOWN, 0, "");
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
