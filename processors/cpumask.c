/*
 * Makes ONNX Runtime see another x86-64 processor than the one it runs on, at full speed. Preloaded into a program, it answers the
 * CPUID instructions of a library in which mask.ts replaced them by UD2: the real answer, less some bits. Linux x86-64 only.
 *
 *   CPUMASK          bits to clear: leaf.subleaf.register=mask, …, all hexadecimal, e.g. 7.0.b=c0030000
 *   CPUMASK_LIBRARY  the library with replaced instructions, loaded whenever the program loads one of the same base name
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static struct { unsigned leaf, subleaf, mask; int reg; } masks[32];
static int mask_count;

static unsigned masked (unsigned leaf, unsigned subleaf, int reg, unsigned value) {
  for (int i = 0; i < mask_count; i++) {
    if (masks[i].leaf == leaf && (leaf != 7 || masks[i].subleaf == subleaf) && masks[i].reg == reg) value &= ~masks[i].mask;
  }
  return value;
}

static void on_illegal_instruction (int signal_number, siginfo_t *info, void *context) {
  (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *at = (const unsigned char *)registers[REG_RIP];
  if (at[0] != 0x0f || at[1] != 0x0b) {
    signal(signal_number, SIG_DFL);
    return;
  }
  unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX], a, b, c, d;
  __asm__ volatile ("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(subleaf));
  registers[REG_RAX] = masked(leaf, subleaf, 'a', a);
  registers[REG_RBX] = masked(leaf, subleaf, 'b', b);
  registers[REG_RCX] = masked(leaf, subleaf, 'c', c);
  registers[REG_RDX] = masked(leaf, subleaf, 'd', d);
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start (void) {
  const char *text = getenv("CPUMASK");
  if (!text) return;
  char *copy = strdup(text), reg;
  for (char *one = strtok(copy, ","); one && mask_count < 32; one = strtok(NULL, ",")) {
    unsigned leaf, subleaf, mask;
    if (sscanf(one, "%x.%x.%c=%x", &leaf, &subleaf, &reg, &mask) != 4) {
      fprintf(stderr, "cpumask: CPUMASK has %s where leaf.subleaf.register=mask is wanted\n", one);
      exit(2);
    }
    masks[mask_count].leaf = leaf;
    masks[mask_count].subleaf = subleaf;
    masks[mask_count].reg = reg;
    masks[mask_count++].mask = mask;
  }
  free(copy);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_illegal_instruction;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigaction(SIGILL, &action, NULL);
}

static const char *base_name (const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* In place of the C library's: the masked library takes the place of its original. */
void *dlopen (const char *path, int flags) {
  static void *(*original)(const char *, int);
  if (!original) original = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  const char *library = getenv("CPUMASK_LIBRARY");
  if (path && library && strcmp(base_name(path), base_name(library)) == 0) return original(library, flags);
  return original(path, flags);
}
