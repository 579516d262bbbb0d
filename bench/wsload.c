/*
 * wsload: a WebSocket load generator in one file. One thread, epoll, no dependencies.
 *
 *   cc -O2 -o wsload wsload.c
 *   ./wsload -t 127.0.0.1:8080 -p /api/chat-api/ws/room-%d -c 1000 -r 10 -s 10 -R 500 -d 10 -P $(pidof node)
 *
 * It opens CLIENTS connections spread over ROOMS rooms and TARGETS pods, has SENDERS of them publish, and
 * checks every delivery: each message carries its send time, its sender and its sequence number, so that a
 * lost, repeated or reordered message is counted, not guessed. The last line it prints is one JSON object.
 *
 * Options
 *   -t host:port[,host:port…]  targets; connection i goes to target i mod count
 *   -p path                    request path; %d in it becomes the room number
 *   -c N   connections (100)            -r N   rooms (1); connection i is in room (i / targets) mod rooms
 *   -s N   senders (1); spread over the rooms
 *   -R N   messages a second, all senders together (100); 0 = closed loop: a sender sends when its echo returns
 *   -w N   messages in flight per sender in the closed loop (1)
 *   -b N   bytes of content in a message (64)
 *   -d N   seconds measured (5)         -W N   seconds of warm-up, not measured (1)
 *   -P pid[,pid…]  server processes: their CPU time and memory are read from /proc
 *   -m chat|socketio|centrifuge         wire protocol (chat)
 *   -x     expect global delivery: a message reaches every connection, not only the sender's room
 *   -i     idle: connect, wait -d seconds, report memory, send nothing
 *   -S ms  slow readers: the first -k N non-sending connections stop reading for the whole measurement
 *   -H 'Header: value'         an extra request header
 *
 * Additions for the cases here; without them it measures as it always did
 *   -v     tells on stderr, a word a line, how far it is: open, measuring, measured
 *   -n N   messages at most, all senders together
 *   -D s   waits at most so long at the end for what is still under way: a server that is overloaded may have minutes of it
 *   -B     slow readers ask for small segments, so that the server's kernel buffers little for them (100 KB instead of 3 MB)
 *   and shares of a core are printed to a hundredth of a percent, and where the limit of open files can't be raised to 2^20, it is raised as far as it goes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHAT, SOCKETIO, CENTRIFUGE };
enum { CONNECTING, HANDSHAKE, JOINING, READY, CLOSED };


typedef struct {
  int fd, state, room, sender; /* sender: index, or -1 */
  uint32_t seq, inflight;
  char *rest;
  size_t rest_len, rest_cap;
  int slow, close_code;
} Conn;

static struct sockaddr_in targets[64];
static int n_targets, n_conns = 100, n_rooms = 1, n_senders = 1, window = 1, content = 64, mode = CHAT;
static int global_delivery, idle_only, n_slow, tells, small_segments;
static uint64_t most_messages = UINT64_MAX;
static double rate = 100, duration = 5, warmup = 1, drain_s = 1e9;
static const char *path = "/api/chat-api/ws/room-%d", *extra_header;
static int pids[64], n_pids;
static Conn *conns;
static int *sender_conn;
static uint32_t *last_seq; /* [conn][sender] */
static int *room_size;
static int ep, ready_count, closed_count, failed_count;
static uint64_t sent, expected, delivered, gaps, repeats, frames_in, errors_in, pings_in;
static int measuring, stop_sending;
static uint64_t *lat; /* microsecond histogram: 0..9_999_999 in 10 us steps */
#define LAT_BUCKETS 1000000
static uint64_t lat_n, lat_max;
static char padding[1 << 17];
static char readbuf[1 << 18];
static char first_error[300];
static int close_codes[65536];

static uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void tell(const char *stage) {
  if (tells) fprintf(stderr, "%s\n", stage);
}

static double pid_cpu(void) {
  double total = 0;
  for (int i = 0; i < n_pids; i++) {
    char name[64], line[2048];
    snprintf(name, sizeof name, "/proc/%d/stat", pids[i]);
    FILE *f = fopen(name, "r");
    if (!f) continue;
    if (fgets(line, sizeof line, f)) {
      unsigned long u = 0, s = 0;
      char *p = strrchr(line, ')');
      if (p && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) == 2) total += (double)(u + s) / sysconf(_SC_CLK_TCK);
    }
    fclose(f);
  }
  return total;
}

static long pid_rss_kb(void) {
  long total = 0;
  for (int i = 0; i < n_pids; i++) {
    char name[64], line[256];
    snprintf(name, sizeof name, "/proc/%d/status", pids[i]);
    FILE *f = fopen(name, "r");
    if (!f) continue;
    long kb;
    while (fgets(line, sizeof line, f))
      if (sscanf(line, "VmRSS: %ld kB", &kb) == 1) total += kb;
    fclose(f);
  }
  return total;
}

static void drop(Conn *c, int failed) {
  if (c->state == CLOSED) return;
  if (c->state == READY) ready_count--;
  c->state = CLOSED;
  if (c->close_code) close_codes[c->close_code]++;
  if (failed) failed_count++;
  closed_count++;
  close(c->fd);
  if (!c->slow) room_size[c->room]--;
}

static int send_all(Conn *c, const char *p, size_t n) {
  while (n) {
    ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
    if (k < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) { /* the server pushes back: wait for it, as a real client's socket would */
        struct timespec ts = {0, 200000};
        nanosleep(&ts, NULL);
        continue;
      }
      drop(c, 1);
      return -1;
    }
    p += k;
    n -= k;
  }
  return 0;
}

static int send_frame(Conn *c, int opcode, const char *payload, size_t n) {
  static char out[1 << 18];
  size_t h = 0;
  out[h++] = 0x80 | opcode;
  if (n < 126) out[h++] = 0x80 | n;
  else if (n < 65536) {
    out[h++] = 0x80 | 126;
    out[h++] = n >> 8;
    out[h++] = n;
  } else {
    out[h++] = 0x80 | 127;
    for (int i = 7; i >= 0; i--) out[h++] = (uint64_t)n >> (8 * i);
  }
  memset(out + h, 0, 4); /* masked, with a key of zero */
  h += 4;
  memcpy(out + h, payload, n);
  return send_all(c, out, h + n);
}

static void send_message(Conn *c) {
  static char msg[1 << 17];
  char mark[64];
  c->seq++;
  snprintf(mark, sizeof mark, "@%016llx.%04x.%08x@", (unsigned long long)now_ns(), c->sender, c->seq);
  int pad = content - 32;
  if (pad < 0) pad = 0;
  int n;
  if (mode == SOCKETIO) n = snprintf(msg, sizeof msg, "42[\"chat\",{\"content\":\"%s%.*s\"}]", mark, pad, padding);
  else if (mode == CENTRIFUGE) n = snprintf(msg, sizeof msg, "{\"id\":%u,\"method\":3,\"params\":{\"channel\":\"room-%d\",\"data\":{\"content\":\"%s%.*s\"}}}", c->seq + 10, c->room, mark, pad, padding);
  else n = snprintf(msg, sizeof msg, "{\"type\":\"chat\",\"data\":{\"content\":\"%s%.*s\"}}", mark, pad, padding);
  if (send_frame(c, 1, msg, n) == 0) {
    c->inflight++;
    sent++;
    if (global_delivery) expected += ready_count - n_slow;
    else expected += room_size[c->room];
  }
}

static void become_ready(Conn *c) {
  if (c->state == READY) return;
  c->state = READY;
  ready_count++;
}

static inline uint64_t hex(const char *p, int n) {
  uint64_t v = 0;
  for (int i = 0; i < n; i++) {
    int d = p[i];
    v = v << 4 | (d <= '9' ? d - '0' : d - 'a' + 10);
  }
  return v;
}

static void on_text(Conn *c, char *p, size_t n, uint64_t t) {
  frames_in++;
  if (mode == SOCKETIO) {
    if (n >= 1 && p[0] == '0') { send_frame(c, 1, "40", 2); return; }
    if (n == 1 && p[0] == '2') { send_frame(c, 1, "3", 1); return; }
    if (n >= 2 && p[0] == '4' && p[1] == '0') { become_ready(c); return; }
  }
  if (mode == CENTRIFUGE && c->state == JOINING) {
    if (memmem(p, n, "\"id\":1,", 7)) {
      char sub[128];
      int k = snprintf(sub, sizeof sub, "{\"id\":2,\"method\":1,\"params\":{\"channel\":\"room-%d\"}}", c->room);
      send_frame(c, 1, sub, k);
    }
    if (memmem(p, n, "\"id\":2,", 7)) become_ready(c);
    return;
  }
  if (mode == CHAT && n < 4096 && memmem(p, n, "\"type\":\"error\"", 14)) {
    errors_in++;
    if (!first_error[0]) snprintf(first_error, sizeof first_error, "%.*s", (int)(n < 250 ? n : 250), p);
  }
  char *end = p + n;
  while (p < end && (p = memchr(p, '@', end - p))) {
    if (end - p < 32 || p[17] != '.' || p[22] != '.' || p[31] != '@') { p++; continue; }
    uint64_t at = hex(p + 1, 16);
    uint32_t s = hex(p + 18, 4), seq = hex(p + 23, 8);
    p += 32;
    delivered++;
    if (s < (uint32_t)n_senders) {
      uint32_t *last = &last_seq[(size_t)(c - conns) * n_senders + s];
      if (*last && seq <= *last) repeats++;
      else if (*last && seq > *last + 1) gaps += seq - *last - 1;
      if (seq > *last) *last = seq;
      if (c->sender == (int)s && c->inflight) {
        c->inflight--;
        if (rate == 0 && !stop_sending) send_message(c);
      }
    }
    if (measuring) {
      uint64_t us = (t - at) / 1000;
      lat_n++;
      if (us > lat_max) lat_max = us;
      lat[us / 10 < LAT_BUCKETS ? us / 10 : LAT_BUCKETS - 1]++;
    }
  }
}

static void on_bytes(Conn *c, char *p, size_t n, uint64_t t) {
  if (c->rest_len) {
    if (c->rest_cap < c->rest_len + n) {
      c->rest_cap = c->rest_len + n;
      c->rest = realloc(c->rest, c->rest_cap);
    }
    memcpy(c->rest + c->rest_len, p, n);
    p = c->rest;
    n += c->rest_len;
  }
  char *start = p;
  if (c->state == HANDSHAKE) {
    char *e = memmem(p, n, "\r\n\r\n", 4);
    if (e) {
      if (n < 12 || memcmp(p + 9, "101", 3)) {
        if (!first_error[0]) snprintf(first_error, sizeof first_error, "handshake: %.*s", (int)(n < 40 ? n : 40), p);
        drop(c, 1);
        return;
      }
      c->state = JOINING;
      n -= e + 4 - p;
      p = e + 4;
      if (mode == CHAT) become_ready(c);
      if (mode == CENTRIFUGE) send_frame(c, 1, "{\"id\":1,\"params\":{}}", 20);
    }
  }
  while (c->state >= JOINING && c->state != CLOSED && n >= 2) {
    size_t len = (unsigned char)p[1] & 127, h = 2;
    if (len == 126) {
      if (n < 4) break;
      len = (unsigned char)p[2] << 8 | (unsigned char)p[3];
      h = 4;
    } else if (len == 127) {
      if (n < 10) break;
      len = 0;
      for (int i = 0; i < 8; i++) len = len << 8 | (unsigned char)p[2 + i];
      h = 10;
    }
    if (n < h + len) break;
    int op = p[0] & 15;
    if (op == 1 || op == 2) on_text(c, p + h, len, t);
    else if (op == 9) { pings_in++; send_frame(c, 10, p + h, len); }
    else if (op == 8) {
      c->close_code = len >= 2 ? (unsigned char)p[h] << 8 | (unsigned char)p[h + 1] : 1005;
      drop(c, 0);
      break;
    }
    p += h + len;
    n -= h + len;
  }
  if (c->state == CLOSED) { c->rest_len = 0; return; }
  if (n && (p != c->rest || start != c->rest)) {
    if (c->rest_cap < n) {
      char *fresh = malloc(n);
      memcpy(fresh, p, n);
      free(c->rest);
      c->rest = fresh;
      c->rest_cap = n;
    } else memmove(c->rest, p, n);
  }
  c->rest_len = n;
}

static void start(int i) {
  Conn *c = &conns[i];
  struct sockaddr_in *to = &targets[i % n_targets];
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) { perror("socket"); exit(2); }
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (i >= 20000) { /* one source address has too few ports */
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000002 + i / 20000);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    bind(c->fd, (struct sockaddr *)&from, sizeof from);
  }
  if (c->slow && small_segments) { /* a send buffer is sized in segments, and those of loopback have 64 KiB */
    int mss = 536;
    setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
  }
  c->state = CONNECTING;
  if (connect(c->fd, (struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS) { drop(c, 1); return; }
  struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void on_connected(Conn *c) {
  int err = 0;
  socklen_t l = sizeof err;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
  if (err) {
    if (!first_error[0]) snprintf(first_error, sizeof first_error, "connect: %s", strerror(err));
    drop(c, 1);
    return;
  }
  char req[4096], where[1024];
  snprintf(where, sizeof where, path, c->room);
  int n = snprintf(req, sizeof req,
                   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: d3Nsb2FkLXdzbG9hZC13cw==\r\n%s%s\r\n",
                   where, extra_header ? extra_header : "", extra_header ? "\r\n" : "");
  c->state = HANDSHAKE;
  struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
  send_all(c, req, n);
}

static void poll_once(int timeout_ms) {
  struct epoll_event evs[512];
  int n = epoll_wait(ep, evs, 512, timeout_ms);
  for (int i = 0; i < n; i++) {
    Conn *c = evs[i].data.ptr;
    if (c->state == CLOSED) continue;
    if (c->state == CONNECTING) { on_connected(c); continue; }
    if (c->slow && measuring) {
      epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
      continue;
    }
    ssize_t k = recv(c->fd, readbuf, sizeof readbuf, 0);
    if (k > 0) on_bytes(c, readbuf, k, now_ns());
    else if (k == 0 || (errno != EAGAIN && errno != EINTR)) {
      c->close_code = c->close_code ? c->close_code : 1006;
      drop(c, 0);
    }
  }
}

static double percentile(double q) {
  uint64_t want = (uint64_t)(q * lat_n), seen = 0;
  for (int i = 0; i < LAT_BUCKETS; i++) {
    seen += lat[i];
    if (seen > want) return i / 100.0;
  }
  return lat_max / 1000.0;
}

int main(int argc, char **argv) {
  int o;
  char *list = NULL;
  while ((o = getopt(argc, argv, "t:p:c:r:s:R:w:b:d:W:P:m:xik:H:S:vn:D:B")) != -1) switch (o) {
      case 't': list = optarg; break;
      case 'p': path = optarg; break;
      case 'c': n_conns = atoi(optarg); break;
      case 'r': n_rooms = atoi(optarg); break;
      case 's': n_senders = atoi(optarg); break;
      case 'R': rate = atof(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'b': content = atoi(optarg); break;
      case 'd': duration = atof(optarg); break;
      case 'W': warmup = atof(optarg); break;
      case 'x': global_delivery = 1; break;
      case 'i': idle_only = 1; break;
      case 'k': n_slow = atoi(optarg); break;
      case 'S': break;
      case 'v': tells = 1; break;
      case 'n': most_messages = strtoull(optarg, NULL, 10); break;
      case 'D': drain_s = atof(optarg); break;
      case 'B': small_segments = 1; break;
      case 'H': extra_header = optarg; break;
      case 'P':
        for (char *p = strtok(optarg, ", "); p; p = strtok(NULL, ", ")) pids[n_pids++] = atoi(p);
        break;
      case 'm': mode = !strcmp(optarg, "socketio") ? SOCKETIO : !strcmp(optarg, "centrifuge") ? CENTRIFUGE : CHAT; break;
      default: return 2;
    }
  if (!list) { fprintf(stderr, "wsload: -t host:port is required\n"); return 2; }
  for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
    char *colon = strrchr(p, ':');
    *colon = 0;
    targets[n_targets].sin_family = AF_INET;
    targets[n_targets].sin_port = htons(atoi(colon + 1));
    inet_pton(AF_INET, p, &targets[n_targets].sin_addr);
    if ((ntohl(targets[n_targets].sin_addr.s_addr) >> 24) != 127) { fprintf(stderr, "wsload: loopback targets only\n"); return 2; }
    n_targets++;
  }
  struct rlimit rl = {1 << 20, 1 << 20};
  if (setrlimit(RLIMIT_NOFILE, &rl) < 0 && getrlimit(RLIMIT_NOFILE, &rl) == 0) {
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
  }
  memset(padding, 'x', sizeof padding - 1);
  lat = calloc(LAT_BUCKETS, sizeof *lat);
  conns = calloc(n_conns, sizeof *conns);
  if (idle_only) n_senders = 0;
  if (n_senders > n_conns) n_senders = n_conns;
  last_seq = calloc((size_t)n_conns * (n_senders ? n_senders : 1), sizeof *last_seq);
  sender_conn = calloc(n_senders + 1, sizeof *sender_conn);
  room_size = calloc(n_rooms, sizeof *room_size);
  ep = epoll_create1(0);
  for (int i = 0; i < n_conns; i++) {
    conns[i].sender = -1;
    conns[i].room = (i / n_targets) % n_rooms;
    room_size[conns[i].room]++;
  }
  /* sender k is the connection whose room is k mod rooms, taken round by round */
  for (int k = 0; k < n_senders; k++) {
    for (int i = k; i < n_conns + k; i++) {
      Conn *c = &conns[i % n_conns];
      if (c->sender < 0 && c->room == k % n_rooms) { c->sender = k; sender_conn[k] = i % n_conns; break; }
    }
  }
  for (int i = n_conns - 1, k = n_slow; i >= 0 && k; i--)
    if (conns[i].sender < 0) { conns[i].slow = 1; room_size[conns[i].room]--; k--; }
  long rss_before = pid_rss_kb();
  double cpu_connect0 = pid_cpu();
  uint64_t t0 = now_ns();
  int started = 0;
  while (ready_count + closed_count < n_conns) {
    while (started < n_conns && started - ready_count - closed_count < 200) start(started++);
    poll_once(20);
    if (now_ns() - t0 > 120ull * 1000000000) break;
  }
  double connect_s = (now_ns() - t0) / 1e9, cpu_connect = pid_cpu() - cpu_connect0;
  int connected = ready_count;
  uint64_t until = now_ns() + (uint64_t)(0.5e9);
  while (now_ns() < until) poll_once(10);
  long rss_connected = pid_rss_kb();
  tell("open");

  if (!idle_only && rate == 0)
    for (int k = 0; k < n_senders; k++)
      for (int w = 0; w < window; w++)
        if (conns[sender_conn[k]].state == READY) send_message(&conns[sender_conn[k]]);
  uint64_t begin = now_ns(), measure_at = begin + (uint64_t)(warmup * 1e9), end_at = measure_at + (uint64_t)(duration * 1e9);
  uint64_t rate_sent = 0, d0 = 0, s0 = 0;
  double cpu0 = 0;
  struct rusage ru0;
  int turn = 0;
  for (;;) {
    uint64_t t = now_ns();
    if (t >= end_at) break;
    if (!measuring && t >= measure_at) {
      measuring = 1;
      tell("measuring");
      d0 = delivered;
      s0 = sent;
      cpu0 = pid_cpu();
      getrusage(RUSAGE_SELF, &ru0);
    }
    if (!idle_only && rate > 0) {
      uint64_t due = (uint64_t)((t - begin) / 1e9 * rate);
      for (int burst = 0; rate_sent < due && rate_sent < most_messages && burst < 2000; burst++) {
        Conn *c = &conns[sender_conn[turn++ % n_senders]];
        rate_sent++;
        if (c->state == READY) send_message(c);
      }
    }
    poll_once(1);
  }
  tell("measured");
  double cpu = pid_cpu() - cpu0, span = (now_ns() - measure_at) / 1e9;
  struct rusage ru1;
  getrusage(RUSAGE_SELF, &ru1);
  uint64_t d_measured = delivered - d0, s_measured = sent - s0;
  long rss_end = pid_rss_kb();
  stop_sending = 1;
  uint64_t last = delivered, quiet = now_ns(), drain_until = quiet + (uint64_t)(drain_s * 1e9);
  while (delivered < expected && now_ns() - quiet < 3000000000ull && now_ns() < drain_until) {
    poll_once(10);
    if (delivered != last) { last = delivered; quiet = now_ns(); }
  }
  double own = (ru1.ru_utime.tv_sec - ru0.ru_utime.tv_sec + ru1.ru_stime.tv_sec - ru0.ru_stime.tv_sec) + (ru1.ru_utime.tv_usec - ru0.ru_utime.tv_usec + ru1.ru_stime.tv_usec - ru0.ru_stime.tv_usec) / 1e6;
  printf("{\"clients\":%d,\"connected\":%d,\"failed\":%d,\"connect_s\":%.2f,\"connect_cpu_us\":%.1f,\"rooms\":%d,\"senders\":%d,\"content\":%d,", n_conns, connected, failed_count, connect_s, n_conns ? cpu_connect * 1e6 / n_conns : 0, n_rooms, n_senders, content);
  printf("\"sent_per_s\":%.0f,\"delivered_per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"max_ms\":%.2f,", s_measured / span, d_measured / span, percentile(.5), percentile(.99), percentile(.999), lat_max / 1000.0);
  printf("\"sent\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,\"repeats\":%llu,\"frames_in\":%llu,\"errors_in\":%llu,\"pings_in\":%llu,", (unsigned long long)sent, (unsigned long long)expected, (unsigned long long)delivered, (unsigned long long)gaps, (unsigned long long)repeats, (unsigned long long)frames_in, (unsigned long long)errors_in, (unsigned long long)pings_in);
  printf("\"server_cpu\":%.4f,\"server_cpu_us_per_delivery\":%.3f,\"own_cpu\":%.4f,\"rss_before_mb\":%.1f,\"rss_connected_mb\":%.1f,\"rss_end_mb\":%.1f,\"kb_per_connection\":%.2f,", cpu / span, d_measured ? cpu * 1e6 / d_measured : 0, own / span, rss_before / 1024.0, rss_connected / 1024.0, rss_end / 1024.0, connected ? (double)(rss_connected - rss_before) / connected : 0);
  printf("\"closed\":%d,\"close_codes\":{", closed_count);
  for (int i = 0, first = 1; i < 65536; i++)
    if (close_codes[i]) { printf("%s\"%d\":%d", first ? "" : ",", i, close_codes[i]); first = 0; }
  printf("},\"first_error\":\"");
  for (char *p = first_error; *p; p++) putchar(*p == '"' || *p == '\\' || *p < ' ' ? '\'' : *p);
  printf("\"}\n");
  return 0;
}
