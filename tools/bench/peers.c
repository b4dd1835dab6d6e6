/* The other two engines of tools/bench, driven over a pipe by src/main.rs. One command a line, one answer a line:
 *
 *   set NAME HEX            NAME is one of n g k v A u b        ->  ok
 *   run WHAT ENGINE TIMES   WHAT is B, S or login                ->  NANOSECONDS RESULT...   (processor time for all TIMES)
 *
 * B = kv + g^b, S = (A v^u)^b, login = both. OpenSSL exponentiates in constant time with BN_mod_exp_mont_consttime;
 * libgcrypt with gcry_mpi_powm, as Netatalk does. All that can be set up once per program is outside the measured time.
 */
#include <gcrypt.h>
#include <openssl/bn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N, G, K, V, A, U, B, COUNT };
static const char *const NAMES[COUNT] = {"n", "g", "k", "v", "A", "u", "b"};

static BN_CTX *ctx;
static BN_MONT_CTX *mont;
static BIGNUM *bn[COUNT], *bn_b_pub, *bn_s;
static gcry_mpi_t mpi[COUNT], mpi_b_pub, mpi_s;

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "peers: %s failed\n", what);
        exit(1);
    }
}

static void openssl_b(void) {
    static BIGNUM *kv;
    if (kv == NULL) kv = BN_new();
    check(BN_mod_exp_mont_consttime(bn_b_pub, bn[G], bn[B], bn[N], ctx, mont), "g^b");
    check(BN_mod_mul(kv, bn[K], bn[V], bn[N], ctx), "kv");
    check(BN_mod_add(bn_b_pub, bn_b_pub, kv, bn[N], ctx), "kv + g^b");
}

static void openssl_s(void) {
    static BIGNUM *base;
    if (base == NULL) base = BN_new();
    check(BN_mod_exp_mont_consttime(base, bn[V], bn[U], bn[N], ctx, mont), "v^u");
    check(BN_mod_mul(base, base, bn[A], bn[N], ctx), "A v^u");
    check(BN_mod_exp_mont_consttime(bn_s, base, bn[B], bn[N], ctx, mont), "(A v^u)^b");
}

static void gcrypt_b(void) {
    static gcry_mpi_t kv;
    if (kv == NULL) kv = gcry_mpi_new(0);
    gcry_mpi_powm(mpi_b_pub, mpi[G], mpi[B], mpi[N]);
    gcry_mpi_mulm(kv, mpi[K], mpi[V], mpi[N]);
    gcry_mpi_addm(mpi_b_pub, mpi_b_pub, kv, mpi[N]);
}

static void gcrypt_s(void) {
    static gcry_mpi_t base;
    if (base == NULL) base = gcry_mpi_new(0);
    gcry_mpi_powm(base, mpi[V], mpi[U], mpi[N]);
    gcry_mpi_mulm(base, base, mpi[A], mpi[N]);
    gcry_mpi_powm(mpi_s, base, mpi[B], mpi[N]);
}

static void set(const char *name, const char *hex) {
    int i = 0;
    while (i < COUNT && strcmp(name, NAMES[i]) != 0) i++;
    check(i < COUNT, "set: name");
    check(BN_hex2bn(&bn[i], hex) > 0, "BN_hex2bn");
    /* Only the exponents are secret; v is, too, but BN_mod_mul has no other way. */
    if (i == U || i == B) BN_set_flags(bn[i], BN_FLG_CONSTTIME);
    gcry_mpi_release(mpi[i]);
    check(gcry_mpi_scan(&mpi[i], GCRYMPI_FMT_HEX, hex, 0, NULL) == 0, "gcry_mpi_scan");
    if (i == N) check(BN_MONT_CTX_set(mont, bn[N], ctx), "BN_MONT_CTX_set");
    puts("ok");
}

static void print_gcrypt(gcry_mpi_t value) {
    unsigned char *hex = NULL;
    check(gcry_mpi_aprint(GCRYMPI_FMT_HEX, &hex, NULL, value) == 0, "gcry_mpi_aprint");
    printf(" %s", (char *)hex);
    gcry_free(hex);
}

static void print_openssl(const BIGNUM *value) {
    char *hex = BN_bn2hex(value);
    check(hex != NULL, "BN_bn2hex");
    printf(" %s", hex);
    OPENSSL_free(hex);
}

static void run(const char *what, const char *engine, int times) {
    const int openssl = strcmp(engine, "openssl") == 0;
    const int b = strcmp(what, "S") != 0, s = strcmp(what, "B") != 0;
    struct timespec begin, end;
    check(openssl || strcmp(engine, "libgcrypt") == 0, "run: engine");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (int i = 0; i < times; i++) {
        if (b) openssl ? openssl_b() : gcrypt_b();
        if (s) openssl ? openssl_s() : gcrypt_s();
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%lld", (end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec));
    if (b) openssl ? print_openssl(bn_b_pub) : print_gcrypt(mpi_b_pub);
    if (s) openssl ? print_openssl(bn_s) : print_gcrypt(mpi_s);
    putchar('\n');
}

int main(void) {
    static char line[8192], first[16], second[16], third[4096];
    check(gcry_check_version(GCRYPT_VERSION) != NULL, "gcry_check_version");
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    ctx = BN_CTX_new();
    mont = BN_MONT_CTX_new();
    bn_b_pub = BN_new();
    bn_s = BN_new();
    mpi_b_pub = gcry_mpi_new(0);
    mpi_s = gcry_mpi_new(0);
    check(ctx && mont && bn_b_pub && bn_s, "allocation");
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "set %15s %4095s", first, third) == 2) {
            set(first, third);
        } else {
            check(sscanf(line, "run %15s %15s %4095s", first, second, third) == 3, "reading a command");
            run(first, second, atoi(third));
        }
        fflush(stdout);
    }
    return 0;
}
