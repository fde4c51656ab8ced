/* Preloaded into Janus, which leaves loopback out before it looks at ice_enforce_list: a test machine may have no other. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>

int getifaddrs(struct ifaddrs **list) {
  int (*real)(struct ifaddrs **) = dlsym(RTLD_NEXT, "getifaddrs");
  int result = real(list);
  if (result == 0)
    for (struct ifaddrs *one = *list; one; one = one->ifa_next) one->ifa_flags &= ~IFF_LOOPBACK;
  return result;
}
