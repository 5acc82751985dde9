/*
 * Loaded into wrk, it keeps wrk awake: epoll_wait asks again and again instead of sleeping. On one machine an answer else has to
 * wake the load generator, by an interrupt of its core, which the server pays for and which no client over a network causes.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  long long end = now() + timeout;
  for (;;) {
    long count = syscall(SYS_epoll_wait, epoll, events, most, 0);
    if (count != 0 || (timeout >= 0 && now() >= end)) return (int)count;
  }
}
