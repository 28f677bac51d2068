/* Drivers that are wrong in one way each, chosen with -D, for the tests of the host. */
#define _POSIX_C_SOURCE 200809L
#include "gatehouse_driver.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#define TEXT(literal) {literal, sizeof literal - 1}

static ghd_host lent;

static void nap(void) {
  struct timespec second = {1, 0};
  nanosleep(&second, NULL);
}

#ifdef HANGS_AT_LOAD
__attribute__((constructor)) static void at_load(void) {
  for (;;) nap();
}
#endif

static ghd_code create(const ghd_host *host, ghd_str config, ghd_dev **out) {
  static int nothing;
  (void)config;
  lent = *host;
  *out = (ghd_dev *)&nothing;
  return GHD_OK;
}
static void destroy(ghd_dev *dev) { (void)dev; }
static ghd_code capabilities(ghd_dev *dev, char *json, size_t cap, size_t *n) {
  (void)dev;
  *n = 2;
  if (*n <= cap) memcpy(json, "{}", 2);
  return GHD_OK;
}
#ifndef WITHOUT_PROBE
static ghd_code probe(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, char *json, size_t cap, size_t *n) {
  (void)dev;
  uint8_t id[256];
  ghd_code code = io->control_in(io->ctx, 0xa1, 0, 0, 0, id, sizeof id, timeout_ms, n);
  if (code != GHD_OK) return code;
  *n = (size_t)snprintf(json, cap, "{\"id_bytes\":%zu}", *n);
  return GHD_OK;
}
#endif
/* What it can reach besides its device: a bit for each. */
static ghd_code status(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms, uint32_t *bits) {
  (void)dev, (void)io, (void)timeout_ms;
  *bits = 0;
#ifdef SNOOPS
  char self[] = "/proc/self/environ", *paths[] = {"/etc/passwd", self, "/tmp", "/usr/bin/env"};
  for (int i = 0; i < 4; i++)
    if (open(paths[i], O_RDONLY) >= 0) *bits |= 1u << i;
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(SNOOPS)};
  inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
  if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&where, sizeof where) == 0) *bits |= 1u << 4;
  execl("/usr/bin/env", "env", (char *)NULL); /* comes back only where it is not allowed */
#endif
#ifdef READS
  uint8_t answer[8];
  size_t got = 0;
  uint8_t question[] = {0x10, 0x04, 0x01};
  ghd_code code = io->write(io->ctx, question, sizeof question, GHD_W_ASK, timeout_ms, &got);
  if (code == GHD_OK) code = io->read(io->ctx, answer, sizeof answer, timeout_ms, &got);
  if (code != GHD_OK) return code;
  *bits = answer[0];
#endif
  return GHD_OK;
}
static ghd_code run(ghd_dev *dev, const ghd_io *io, const ghd_op *ops, size_t n, uint32_t timeout_ms,
                    ghd_result *result) {
  (void)dev, (void)io, (void)ops, (void)n, (void)timeout_ms;
  result->done = GHD_DONE_CONFIRMED;
#ifdef PRINTS_TO_STDOUT
  char line[64];
  result->text_len = (uint32_t)(read(0, line, sizeof line) == 0); /* it takes no frame from us either */
  result->text[0] = 'e';
  for (int i = 0; i < 3; i++) puts("a driver's own talk");
  fflush(stdout);
#endif
#ifdef RAW /* every byte of a text as it is, as no driver should: the line must not change one */
  size_t written;
  result->done = GHD_DONE_SENT;
  for (size_t i = 0; i < n; i++)
    if (ops[i].kind == GHD_OP_TEXT)
      return io->write(io->ctx, ops[i].data.ptr, ops[i].data.len, GHD_W_PRINT, timeout_ms, &written);
#endif
#ifdef HANGS
  for (;;) nap();
#endif
#ifdef GREEDY /* waits far longer than it was given */
  uint8_t byte;
  size_t got;
  result->done = GHD_DONE_NONE;
  return io->read(io->ctx, &byte, 1, 3600 * 1000, &got);
#else
  return GHD_OK;
#endif
}
static ghd_code tick(ghd_dev *dev, const ghd_io *io, uint32_t *next_ms) {
  (void)dev, (void)io;
  *next_ms = 0;
  return GHD_OK;
}
static ghd_code reset(ghd_dev *dev, const ghd_io *io, uint32_t timeout_ms) {
  (void)dev, (void)io, (void)timeout_ms;
  return GHD_OK;
}

static ghd_driver driver = {
#ifdef SHORT
    .struct_size = 64,
#else
    .struct_size = sizeof(ghd_driver),
#endif
#ifdef WRONG_MAGIC
    .magic = 0x31434847u,
#else
    .magic = GHD_MAGIC,
#endif
#ifdef NEXT_MAJOR
    .abi_major = GHD_ABI_MAJOR + 1,
#else
    .abi_major = GHD_ABI_MAJOR,
#endif
    .abi_minor = GHD_ABI_MINOR,
#ifdef SCANNER
    .kind = 9,
#else
    .kind = GHD_KIND_PRINTER,
#endif
#ifdef LOUD
    .id = TEXT("ODD"),
#else
    .id = TEXT("odd"),
#endif
    .name = TEXT("Odd"),
    .vendor = TEXT("Gatehouse"),
    .version = TEXT("1"),
    .licence = TEXT("Apache-2.0 OR MIT"),
#ifdef NO_JSON
    .match_json = TEXT("usb"),
#else
    .match_json = TEXT("{}"),
#endif
    .config_schema = TEXT("{}"),
    .create = create,
    .destroy = destroy,
    .capabilities = capabilities,
#ifndef WITHOUT_PROBE
    .probe = probe,
#endif
    .status = status,
    .run = run,
    .tick = tick,
    .reset = reset,
};

const ghd_driver *ghd_driver_entry_v1(uint16_t host_major, uint16_t host_minor) {
  (void)host_major, (void)host_minor;
#ifdef NO_NAME
  driver.name.ptr = NULL;
#endif
#ifdef REFUSES
  return NULL;
#else
  return &driver;
#endif
}
