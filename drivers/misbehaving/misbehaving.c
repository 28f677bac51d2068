/* misbehaving.c - a driver that breaks every rule of gatehouse_driver.h on demand. For tests: of the conformance kit,
 * which has to find each fault, and of the host and its supervisor, which have to survive each.
 *
 * With {"mode":"good"}, or no mode, it keeps every rule: a small printer (and, built with -DKIND=GHD_KIND_DISPLAY, a
 * display) that writes text as lines and asks USB printers for their port status. Read that as an example in C; read
 * the places with `is(dev, ...)` as what not to do, with the harm it does in a comment.
 *
 * What is wrong with a table that a host sees before any `create` is chosen when it is compiled: the macros below. */
#include "gatehouse_driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef ENTRY
#define ENTRY ghd_driver_entry_v1 /* another name: the symbol is missing */
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(ghd_driver) /* less: a table of before 1.0 */
#endif
#ifndef TABLE_MAGIC
#define TABLE_MAGIC GHD_MAGIC
#endif
#ifndef TABLE_MAJOR
#define TABLE_MAJOR GHD_ABI_MAJOR
#endif
#ifndef KIND
#define KIND GHD_KIND_PRINTER
#endif
#ifndef ID
#define ID "misbehaving"
#endif
#ifndef SCHEMA_ROOT
#define SCHEMA_ROOT "{\"type\":\"object\"," /* anything else: no JSON, or no JSON Schema */
#endif
#ifndef SETTINGS
#define SETTINGS 0 /* 1: takes wrong ones; 2: refuses without a word; 3: with a code that blames something else */
#endif
#ifndef RUN
#define RUN run /* NULL: a mandatory function is missing */
#endif
#ifndef ACCEPTS
#define ACCEPTS(major, minor) ((major) == GHD_ABI_MAJOR) /* never: refuses every host */
#endif

/* The modes beside "good". The kit's tests have a line for each: what finds it. */
#define MODES(X)                                                                                                       \
  X("hang-create") X("hang-status") X("hang-run") X("hang-tick") X("hang-reset") X("hang-destroy")                     \
  X("busy-loop") X("late") X("deaf-to-cancel") X("after-cancel")                                                       \
  X("crash") X("abort") X("exit") X("panic-run") X("panic-status") X("panic-tick") X("panic-reset")                    \
  X("stdout") X("leak-create") X("leak-run") X("open-file") X("close-files") X("thread")                               \
  X("log-flood") X("status-flood")                                                                                     \
  X("bad-capabilities") X("changing-capabilities") X("capabilities-overrun")                                           \
  X("prints-in-probe") X("prints-in-status") X("prints-in-reset") X("growing-reset") X("status-bits")                  \
  X("says-none") X("says-sent") X("says-confirmed") X("confirms-unheard") X("asks-in-run") X("repeats")                \
  X("ops-done") X("done-number") X("code-number") X("text-too-long") X("text-not-utf8")                                \
  X("raw-text") X("any-op") X("paper-out-hidden")

#define STR(text) {(text), sizeof(text) - 1}
#define MS_CONTROL 1000u /* a USB device that is well answers in a few ms */
#define MS_ENQUIRY 200u
#define MS_SLICE 20u /* how often a wait of its own asks whether it was cancelled */

struct ghd_dev {
  ghd_host host; /* a copy: the pointer given to `create` is lent for that call only */
  char mode[32];
  int answers;   /* how many capabilities were told */
  int resets;
};

static int is(const ghd_dev *dev, const char *mode) { return strcmp(dev->mode, mode) == 0; }

static void complain(const ghd_host *host, int32_t level, const char *text) {
  ghd_str line = {text, strlen(text)};
  host->log(host->ctx, level, line);
}

static void hang(void) {
  for (;;) pause();
}

static void leak(size_t bytes) {
  static void *volatile lost; /* volatile, or the compiler finds out that nobody needs it */
  if ((lost = malloc(bytes))) memset(lost, 1, bytes);
}

static void wait_ms(unsigned ms) { usleep(ms * 1000); }

/* ---- Settings: {} or {"mode":"..."}, and nothing else --------------------------------------------------------- */

static const char *skip(const char *at, const char *end, const char *what) {
  while (at < end && strchr(" \t\r\n", *at)) at++;
  for (; *what; what++, at++)
    if (at >= end || *at != *what) return NULL;
  while (at < end && strchr(" \t\r\n", *at)) at++;
  return at;
}

static const char *known_mode(const char *at, size_t len) {
#define X(name) name,
  static const char *const modes[] = {"good", MODES(X)};
#undef X
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strlen(modes[i]) == len && memcmp(modes[i], at, len) == 0) return modes[i];
  return NULL;
}

/* NULL, or what is wrong. */
static const char *read_settings(ghd_str config, const char **mode) {
  const char *end = config.ptr + config.len, *at = skip(config.ptr, end, "{");
  *mode = "good";
  if (!at) return "the settings have to be a JSON object";
  if (skip(at, end, "}") == end) return NULL;
  if (!(at = skip(at, end, "\"mode\"")) || !(at = skip(at, end, ":")))
    return "the settings have one field, \"mode\"";
  const char *text = skip(at, end, "\"");
  const char *quote = text ? memchr(text, '"', (size_t)(end - text)) : NULL;
  if (!quote) return "mode: a text is meant";
  if (!(*mode = known_mode(text, (size_t)(quote - text)))) return "mode: there is no such mode";
  at = skip(quote + 1, end, "}");
  return at == end ? NULL : "the settings go on after \"mode\"";
}

/* ---- create, destroy ----------------------------------------------------------------------------------------------- */

static void *left_behind(void *nothing) {
  (void)nothing;
  hang();
  return NULL;
}

static ghd_code create(const ghd_host *host, ghd_str config, ghd_dev **out) {
  const char *mode;
  const char *wrong = read_settings(config, &mode);
  if (wrong && SETTINGS == 1) { /* A misspelt setting that is taken in silence is found by a guest without a ticket. */
    wrong = NULL;
    mode = "good";
  }
  if (wrong) {
    if (SETTINGS != 2) complain(host, GHD_LOG_ERROR, wrong); /* without a word nobody knows which setting it was */
    return SETTINGS == 3 ? GHD_E_IO : GHD_E_CONFIG;
  }
  ghd_dev *dev = calloc(1, sizeof *dev);
  if (!dev) return GHD_E_NOMEM;
  dev->host = *host;
  strcpy(dev->mode, mode);
  if (is(dev, "hang-create")) hang();
  if (is(dev, "leak-create")) leak(64 << 10);
  if (is(dev, "open-file")) (void)!open("/dev/null", O_RDONLY); /* a driver opens nothing: devices are the host's */
  for (int file = 0; is(dev, "close-files") && file < 16; file++) close(file); /* its host's pipes are among them */
  if (is(dev, "thread")) { /* its code may be gone before it is, and the host's functions are for one thread only */
    pthread_t thread;
    pthread_create(&thread, NULL, left_behind, NULL);
  }
  *out = dev;
  return GHD_OK;
}

static void destroy(ghd_dev *dev) {
  if (dev && is(dev, "hang-destroy")) hang();
  free(dev);
}

/* ---- Questions --------------------------------------------------------------------------------------------------- */

/* Answers a JSON text into the caller's room: the length is told also where the room is too small. */
static ghd_code answer(const char *text, char *json, size_t cap, size_t *n) {
  *n = strlen(text);
  if (*n <= cap) memcpy(json, text, *n);
  return GHD_OK;
}

static ghd_code capabilities(ghd_dev *dev, char *json, size_t cap, size_t *n) {
  char text[160];
  int columns = is(dev, "changing-capabilities") ? 20 + dev->answers++ : 42; /* layouts were made for the old ones */
  snprintf(text, sizeof text, "{\"profile\":\"misbehaving\",\"columns\":%d,\"lines\":%d,\"proof\":\"%s\",\"status\":true}",
           columns, KIND == GHD_KIND_DISPLAY ? 2 : 0, is(dev, "confirms-unheard") ? "job" : "none");
  if (is(dev, "bad-capabilities")) strcpy(text, "{\"columns\":");
  if (is(dev, "capabilities-overrun")) { /* writes into what is not its own: the host's memory */
    memcpy(json, text, strlen(text));
    cap = 0;
  }
  return answer(text, json, cap, n);
}

/* Port status of a USB printer (printer class 1.02, 4.2.2): bit 3 not error, 4 selected, 5 paper empty. */
static ghd_code port_status(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, uint32_t *bits) {
  uint8_t port = 0;
  size_t got = 0;
  if (timeout_ms > MS_CONTROL) timeout_ms = MS_CONTROL; /* a document's whole time is not for one question */
  ghd_code code = io->control_in(io->ctx, 0xa1, 1, 0, 0, &port, 1, timeout_ms, &got);
  *bits = GHD_S_UNKNOWN;
  if (code == GHD_E_UNSUPPORTED) return GHD_OK; /* another way than USB: it tells nothing */
  if (code != GHD_OK || got == 0) return code;
  *bits = (port & 0x10 ? GHD_S_ONLINE : 0) | (port & 0x20 ? GHD_S_PAPER_OUT : 0);
  if (is(dev, "paper-out-hidden")) *bits = GHD_S_ONLINE; /* tickets are printed on nothing */
  return GHD_OK;
}

static ghd_code write_all(const ghd_io *io, const char *text, uint32_t flags, uint32_t timeout_ms, size_t *written) {
  return io->write(io->ctx, (const uint8_t *)text, strlen(text), flags, timeout_ms, written);
}

/* What the device of this driver answers to ENQ: one byte, bit 0 is paper low. */
static uint32_t enquire(const ghd_io *io, uint32_t timeout_ms) {
  uint8_t byte = 0;
  size_t n = 0;
  if (timeout_ms > MS_ENQUIRY) timeout_ms = MS_ENQUIRY;
  if (write_all(io, "\x05", GHD_W_ASK, timeout_ms, &n) != GHD_OK) return 0;
  if (io->read(io->ctx, &byte, 1, timeout_ms, &n) != GHD_OK) return 0; /* not every device has it */
  return byte & 1 ? GHD_S_PAPER_LOW : 0;
}

static ghd_code probe(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, char *json, size_t cap, size_t *n) {
  uint8_t id[256];
  char text[300];
  size_t got = 0, written = 0, to;
  if (is(dev, "prints-in-probe")) write_all(io, "who are you?\n", GHD_W_PRINT, timeout_ms, &written);
  ghd_code code = io->control_in(io->ctx, 0xa1, 0, 0, 0, id, sizeof id, timeout_ms, &got);
  if (code != GHD_OK) return code;
  to = (size_t)snprintf(text, sizeof text, "{\"ieee1284\":\"");
  /* The first two bytes are the length. What would end the JSON text is left out: a device is not trusted. */
  for (size_t i = 2; i < got; i++)
    if (id[i] >= ' ' && id[i] < 0x7f && id[i] != '"' && id[i] != '\\') text[to++] = (char)id[i];
  strcpy(text + to, "\"}");
  return answer(text, json, cap, n);
}

static ghd_code status(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, uint32_t *bits) {
  size_t written;
  if (is(dev, "hang-status")) hang();
  if (is(dev, "panic-status")) return GHD_E_PANIC;
  if (is(dev, "prints-in-status")) write_all(io, "how are you?\n", GHD_W_PRINT, timeout_ms, &written);
  if (is(dev, "status-flood"))
    for (int i = 0; i < 100000; i++) dev->host.status_changed(dev->host.ctx, GHD_S_ONLINE);
  ghd_code code = port_status(dev, io, timeout_ms, bits);
  if (code == GHD_OK && *bits != GHD_S_UNKNOWN) *bits |= enquire(io, timeout_ms);
  if (is(dev, "status-bits")) *bits = 1u << 29; /* a bit nobody has given a meaning */
  return code;
}

static ghd_code tick(ghd_dev *dev, const ghd_io *io, uint32_t *next_ms) {
  (void)io;
  if (is(dev, "hang-tick")) hang();
  if (is(dev, "panic-tick")) return GHD_E_PANIC;
  *next_ms = 0;
  return GHD_OK;
}

static ghd_code reset(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms) {
  size_t written;
  uint32_t flags = is(dev, "prints-in-reset") ? GHD_W_PRINT : GHD_W_ASK;
  if (is(dev, "hang-reset")) hang();
  if (is(dev, "panic-reset")) return GHD_E_PANIC;
  dev->resets++;
  for (int i = 1; is(dev, "growing-reset") && i < dev->resets; i++)
    write_all(io, "\r", flags, timeout_ms, &written); /* each repetition leaves the device in another state */
  return write_all(io, KIND == GHD_KIND_DISPLAY ? "\f" : "\r", flags, timeout_ms, &written);
}

/* ---- run ------------------------------------------------------------------------------------------------------------ */

static void tell(ghd_result *result, uint32_t done, uint32_t ops_done, const char *text) {
  result->done = done;
  result->ops_done = ops_done;
  result->text_len = (uint32_t)strlen(text);
  memcpy(result->text, text, result->text_len);
}

static int is_utf8(ghd_bytes data) {
  for (size_t i = 0; i < data.len;) {
    uint8_t lead = data.ptr[i++];
    int more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2
               : lead >= 0xf0 && lead < 0xf5 ? 3 : -1;
    if (more < 0) return 0;
    for (; more > 0; more--, i++)
      if (i >= data.len || (data.ptr[i] & 0xc0) != 0x80) return 0;
  }
  return 1;
}

/* Is this an op, with numbers that may be? A host checks them too; who trusts is one host's mistake from the edge of
 * his buffers. */
static int can_be(const ghd_op *op) {
  switch (op->kind) {
    case GHD_OP_TEXT: case GHD_OP_D_LINE: case GHD_OP_D_SCROLL: return is_utf8(op->data);
    case GHD_OP_IMAGE:
      return op->a >= 0 && op->b >= 0 && op->a <= 65535 && op->b <= 65535 &&
             op->data.len == ((size_t)op->a + 7) / 8 * (size_t)op->b;
    case GHD_OP_FEED: return op->a >= 0 && op->a <= 255;
    default: return op->kind >= GHD_OP_TEXT && (op->kind <= GHD_OP_PLACE ||
                    (op->kind >= GHD_OP_D_CLEAR && op->kind <= GHD_OP_D_CURSOR));
  }
}

/* The document as the device's bytes. The caller gave it room for all texts, line ends and feeds. */
static size_t compose(const ghd_dev *dev, const ghd_op *ops, size_t n, uint8_t *page) {
  size_t to = 0;
  for (size_t i = 0; i < n; i++) {
    const ghd_op *op = &ops[i];
    int is_line = op->kind == GHD_OP_D_LINE || op->kind == GHD_OP_D_SCROLL;
    if (op->kind == GHD_OP_TEXT || is_line)
      for (size_t j = 0; j < op->data.len; j++) {
        uint8_t c = op->data.ptr[j];
        /* A guest's name with an escape sequence in it must not command the device. */
        page[to++] = c == 0x7f || (c < ' ' && !is(dev, "raw-text")) ? '?' : c;
      }
    if (is_line || op->kind == GHD_OP_NEWLINE) page[to++] = '\n';
    for (int32_t lines = 0; op->kind == GHD_OP_FEED && lines < op->a; lines++) page[to++] = '\n';
  }
  return to;
}

/* What goes wrong before a byte has left. */
static ghd_code misbehave_first(ghd_dev *dev, uint32_t timeout_ms) {
  if (is(dev, "hang-run")) hang();
  if (is(dev, "crash")) return *(volatile int *)NULL;
  if (is(dev, "abort")) abort();
  if (is(dev, "exit")) exit(0); /* looks like a success to whoever waits for the process */
  if (is(dev, "panic-run")) return GHD_E_PANIC;
  if (is(dev, "late")) wait_ms(timeout_ms + 8000); /* the guest has gone to another gate */
  for (volatile int forever = 1; is(dev, "busy-loop") && forever;) {}
  if (is(dev, "stdout")) { /* where a host's frames to its supervisor are */
    printf("printing ...\n");
    fflush(stdout);
  }
  if (is(dev, "leak-run")) leak(1 << 20); /* a busy gate prints a thousand documents a day */
  for (int i = 0; is(dev, "log-flood") && i < 100000; i++) complain(&dev->host, GHD_LOG_INFO, "printing ...");
  for (unsigned ms = 0; is(dev, "deaf-to-cancel") && ms < 5000; ms += MS_SLICE) wait_ms(MS_SLICE);
  return GHD_OK;
}

/* The page written, and what became of it. */
static ghd_code print(ghd_dev *dev, const ghd_io *io, const uint8_t *page, size_t len, size_t n, uint32_t timeout_ms,
                      ghd_result *result) {
  size_t written = 0;
  ghd_code code = GHD_OK;
  uint32_t flags = is(dev, "asks-in-run") ? GHD_W_ASK : GHD_W_PRINT; /* marked so, nobody counts what is printed */
  if (is(dev, "says-confirmed")) {
    tell(result, GHD_DONE_CONFIRMED, (uint32_t)n, "");
    return GHD_OK;
  }
  if (is(dev, "repeats")) { /* begins anew where it has to go on: a guest gets the ticket twice */
    for (int tries = 0; tries < 10; tries++)
      if ((code = io->write(io->ctx, page, len, flags, timeout_ms / 10, &written)) == GHD_OK) break;
  } else if (len > 0) {
    code = io->write(io->ctx, page, len, flags, timeout_ms, &written);
  }
  for (int i = 0; is(dev, "after-cancel") && code == GHD_E_CANCELLED && i < 1000; i++)
    io->write(io->ctx, page, len, flags, timeout_ms, &written);
  if (code == GHD_OK)
    tell(result, is(dev, "confirms-unheard") ? GHD_DONE_CONFIRMED : GHD_DONE_SENT, (uint32_t)n, "");
  else if (written == 0 || is(dev, "says-none")) /* the host would print it again, and there may be two of it */
    tell(result, GHD_DONE_NONE, 0, "not printed");
  else if (is(dev, "says-sent"))
    tell(result, GHD_DONE_SENT, (uint32_t)n, "");
  else
    tell(result, GHD_DONE_UNKNOWN, 0, "it broke while printing: look at the paper");
  return code;
}

/* What is wrong in an answer about a document that was printed well. */
static void misreport(const ghd_dev *dev, size_t n, ghd_result *result) {
  if (is(dev, "ops-done")) result->ops_done = (uint32_t)n + 1000;
  if (is(dev, "done-number")) result->done = 77;
  if (is(dev, "text-too-long")) result->text_len = 100000; /* a host that believes it reads its own memory aloud */
  if (is(dev, "text-not-utf8")) tell(result, result->done, result->ops_done, "\xff\xfe printed");
}

static ghd_code run(ghd_dev *dev, const ghd_io *io, const ghd_op *ops, size_t n, uint32_t timeout_ms,
                    ghd_result *result) {
  uint64_t until = dev->host.now_ms(dev->host.ctx) + timeout_ms, now;
  size_t room = 1;
  ghd_code code = misbehave_first(dev, timeout_ms);
  tell(result, GHD_DONE_NONE, 0, "");
  if (code != GHD_OK) return code;
  for (size_t i = 0; i < n; i++) {
    if (!can_be(&ops[i]) && !is(dev, "any-op")) {
      tell(result, GHD_DONE_NONE, 0, "an op that cannot be");
      return GHD_E_INVALID;
    }
    room += ops[i].data.len + 256;
  }
  code = port_status(dev, io, timeout_ms, &result->device_bits);
  if (code != GHD_OK) return code;
  if (result->device_bits & GHD_S_PAPER_OUT) {
    tell(result, GHD_DONE_NONE, 0, "put paper in");
    return GHD_E_PAPER_OUT;
  }
  uint8_t *page = malloc(room);
  if (!page) return GHD_E_NOMEM;
  now = dev->host.now_ms(dev->host.ctx);
  code = print(dev, io, page, compose(dev, ops, n, page), n, until > now ? (uint32_t)(until - now) : 0, result);
  free(page);
  misreport(dev, n, result);
  return is(dev, "code-number") ? -99 : code;
}

/* ---- The table ------------------------------------------------------------------------------------------------------- */

static ghd_driver DRIVER = {
    .struct_size = TABLE_SIZE,
    .magic = TABLE_MAGIC,
    .abi_major = TABLE_MAJOR,
    .abi_minor = GHD_ABI_MINOR,
    .kind = KIND,
    .id = STR(ID),
    .name = STR("A driver that breaks every rule"),
    .vendor = STR("Gatehouse"),
    .version = STR("1.0.0"),
    .licence = STR("Apache-2.0 OR MIT"),
    .match_json = STR("{}"),
#define X(name) ",\"" name "\""
    .config_schema = STR(SCHEMA_ROOT "\"properties\":{\"mode\":{\"enum\":[\"good\"" MODES(X) "]}},"
                                     "\"additionalProperties\":false}"),
#undef X
    .create = create,
    .destroy = destroy,
    .capabilities = capabilities,
    .probe = probe,
    .status = status,
    .run = RUN,
    .tick = tick,
    .reset = reset,
};

GHD_EXPORT const ghd_driver *ENTRY(uint16_t major, uint16_t minor) {
  (void)major, (void)minor;
  return ACCEPTS(major, minor) ? &DRIVER : NULL;
}
