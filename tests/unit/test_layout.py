"""The architecture holds: consumer -> monitor -> scoring, and the two lower rooms are pure.

Proved twice. In the source, by every #include. In the compiled rooms of the release build (WEIR_BUILD), by what their
objects ask of the outside and by the memory they could write to: a room may call only what is listed here, and owns no
variable. The last tests plant each kind of violation and show that it is found.
"""

import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("WEIR_BUILD") or f"{ROOT}/build"

MAY_INCLUDE = {"scoring": {"scoring"}, "monitor": {"monitor", "scoring"}, "consumer": {"consumer", "monitor", "scoring", "schemas"}}
PURE_ROOMS = ("scoring", "monitor")

PURE_HEADERS = {"assert.h", "ctype.h", "errno.h", "fenv.h", "float.h", "immintrin.h", "inttypes.h", "limits.h", "math.h",
                "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h",
                "sys/mman.h"}
LIBRARY_HEADERS = {"scoring": {"xgboost/c_api.h"}, "monitor": set()}

# What a pure room may call of libc and libm. stdio is there for formatting into memory alone.
PURE_SYMBOLS = re.compile("|".join((
    r"mem(cpy|move|set|cmp|chr|rchr|mem|pcpy)", r"bcmp",
    r"str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|rchr|chrnul|str|spn|cspn|pbrk|cpy|ncpy|cat|ncat|dup|ndup|sep|tok_r|to(l|ul|ll|ull|d|f|ld))",
    r"(__isoc(99|23)_)?(sscanf|strto(l|ul|ll|ull))", r"v?(sn|as)printf", r"__ctype_(b|tolower|toupper)_loc", r"to(lower|upper)", r"is(alpha|digit|alnum|space|xdigit|print)",
    r"malloc", r"calloc", r"realloc", r"reallocarray", r"aligned_alloc", r"posix_memalign", r"free", r"madvise",
    r"qsort(_r)?", r"bsearch", r"abs", r"labs", r"llabs", r"abort",
    r"(fabs|floor|ceil|round|trunc|rint|nearbyint|lrint|llrint|lround|llround|sqrt|cbrt|exp|exp2|expm1|log|log2|log10|log1p|pow|fmod|fma|hypot"
    r"|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|erf|erfc|tgamma|lgamma_r|fmin|fmax|fdim|copysign|frexp|ldexp|scalbn|modf|nan|nextafter|ilogb|logb)[fl]?",
    r"__(isnan|isinf|finite|signbit|fpclassify)[fl]?", r"fe(get|set)(round|env)|fe(clear|test)except",
    r"__assert_fail", r"__errno_location", r"__stack_chk_fail", r"__(mem|str|v?s)\w+_chk",
    r"__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr|float|floatun|fix|fixuns|popcount|clz|ctz)[sdtx][if][sdtx]?[if]?[0-9]?",   # libgcc, 128 bits
    r"__cpu_(model|features2)",   # which instructions the machine has
    r"_GLOBAL_OFFSET_TABLE_",
)))
# A stream in memory may be written by the object that opens it; it can be no other stream, for none else can be had.
MEMORY_STREAM = "open_memstream"
MEMORY_STREAM_SYMBOLS = re.compile(r"open_memstream|v?fprintf|fput[cs]|_IO_putc|putc|fwrite|fflush|ferror|fclose")
# XGBoost's calls on memory; those that open files or print are left out.
XGBOOST_SYMBOLS = re.compile(r"XG(Booster|DMatrix|B)\w+")
XGBOOST_OUTSIDE = re.compile(r"XGBooster(Load|Save|Dump)Model(Ex\w*)?|XGBooster(Load|Save)RabitCheckpoint|XGDMatrixCreateFrom(File|URI)"
                             r"|XGDMatrixSaveBinary|XGBRegisterLogCallback|XGDMatrixSliceDMatrix\w*|XGBooster\w*Rabit\w*")


def includes(path):
    with open(path, errors="replace") as file:
        for number, line in enumerate(file, 1):
            if found := re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line):
                yield number, found[1] == '"', found[2]


def room_of(name, path, root):
    """The room that a quoted include reaches: relative to the including file, else to the root."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    target = beside if os.path.exists(beside) else os.path.join(root, name)
    return os.path.relpath(target, root).split(os.sep)[0]


def wrong_includes(root):
    wrong, seen = [], 0
    for room, allowed in MAY_INCLUDE.items():
        for path in sorted(glob.glob(f"{root}/{room}/**/*.[ch]", recursive=True)):
            seen += 1
            for number, quoted, name in includes(path):
                where = f"{os.path.relpath(path, root)}:{number}: includes {name}"
                # a library's header may stand in quotes or brackets; ours is what lies in a room
                reached = room_of(name, path, root)
                if quoted or reached in MAY_INCLUDE and os.path.exists(os.path.join(root, name)):
                    if reached not in allowed and name not in LIBRARY_HEADERS.get(room, ()):
                        wrong.append(f"{where}, and {room} may reach only {', '.join(sorted(allowed))}")
                elif room in PURE_ROOMS and name not in PURE_HEADERS | LIBRARY_HEADERS[room]:
                    wrong.append(f"{where}, which is not of libc's pure part")
    return wrong, seen


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(library, *options):
    """(symbol, object) of each object in the library."""
    found = []
    for line in run("nm", "-A", "-P", *options, library).splitlines():
        place, symbol = line.split()[:2]
        found.append((symbol, os.path.basename(place.rstrip(":").rpartition("[")[2].rstrip("]")) or place))
    return found


def writable_memory(library):
    """Sections a program could write to, once loaded. .data.rel.ro is made read-only before main."""
    found, member = [], ""
    for line in run("objdump", "-h", "-w", library).splitlines():
        if ":     file format" in line:
            member = line.split(":")[0]
        fields = line.split()
        if len(fields) > 3 and fields[0].isdigit() and re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)", fields[1]) and int(fields[2], 16):
            found.append((member, fields[1]))
    for line in run("nm", "-A", "-P", library).splitlines():
        if line.split()[2] == "C":
            found.append((line.split(":")[0], "a common variable, " + line.split()[1]))
    return found


def impurities(library, room, below=()):
    own = {symbol for other in (library, *below) for symbol, _ in symbols(other, "--defined-only")}
    wrong = []
    outside = symbols(library, "--undefined-only")
    memory_writers = {member for symbol, member in outside if symbol == MEMORY_STREAM}
    for symbol, member in outside:
        if symbol in own or PURE_SYMBOLS.fullmatch(symbol):
            continue
        if member in memory_writers and MEMORY_STREAM_SYMBOLS.fullmatch(symbol):
            continue
        if room == "scoring" and XGBOOST_SYMBOLS.fullmatch(symbol) and not XGBOOST_OUTSIDE.fullmatch(symbol):
            continue
        wrong.append(f"{member} calls {symbol}")
    for member, section in writable_memory(library):
        names = [line.split()[-1] for line in run("objdump", "-t", library).splitlines() if f" {section}\t" in line and " O " in line]
        wrong.append(f"{member} has writable memory: {section} {' '.join(names)}".rstrip())
    return wrong


def room_library(room):
    library = f"{BUILD}/{room}/lib{room}.a"
    assert os.path.exists(library), f"{library} is not there: run deploy/build.sh"
    return library


def test_includes_point_from_consumer_to_monitor_to_scoring():
    wrong, seen = wrong_includes(ROOT)
    assert not wrong, "\n".join(wrong)
    assert seen > 0


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_the_compiled_room_reaches_nothing_outside(room):
    library = room_library(room)
    below = [room_library("scoring")] if room == "monitor" else []
    assert not any("__asan_" in symbol or "__ubsan_" in symbol for symbol, _ in symbols(library, "--undefined-only")), \
        "this looks at the release build, for sanitizers add calls and variables of their own"
    wrong = impurities(library, room, below)
    assert not wrong, "\n".join(wrong)


def plant(directory, code):
    source, built, library = (f"{directory}/planted{ending}" for ending in (".c", ".o", ".a"))
    with open(source, "w") as file:
        file.write(code)
    run("cc", "-O2", "-g", "-fPIC", "-c", source, "-o", built)
    run("ar", "rcs", library, built)
    return library


@pytest.mark.parametrize("code, finding", [
    ("#include <time.h>\nlong f(void) { return time(0); }", "calls time"),
    ("#include <time.h>\nint f(struct timespec *t) { return clock_gettime(0, t); }", "calls clock_gettime"),
    ("#include <sys/time.h>\nint f(struct timeval *t) { return gettimeofday(t, 0); }", "calls gettimeofday"),
    ("#include <stdlib.h>\nchar *f(void) { return getenv(\"HOME\"); }", "calls getenv"),
    ("#include <stdlib.h>\nint f(void) { return rand(); }", "calls rand"),
    ("#include <stdio.h>\nvoid *f(void) { return fopen(\"x\", \"r\"); }", "calls fopen"),
    ("#include <stdio.h>\nvoid f(int x) { printf(\"%d\", x); }", "calls printf"),
    ("#include <stdio.h>\nvoid f(int x) { fprintf(stderr, \"%d\", x); }", "calls fprintf"),
    ("#include <stdio.h>\nvoid f(const char *x) { puts(x); }", "calls puts"),
    ("#include <stdio.h>\nvoid f(char **t, size_t *n) { fputs(\"x\", open_memstream(t, n)); fputs(\"x\", stdout); }", "calls stdout"),
    ("#include <unistd.h>\nlong f(void *p) { return read(0, p, 1); }", "calls read"),
    ("#include <fcntl.h>\nint f(void) { return open(\"x\", 0); }", "calls open"),
    ("#include <sys/socket.h>\nint f(void) { return socket(1, 1, 0); }", "calls socket"),
    ("#include <string.h>\nchar *f(char *s) { return strtok(s, \",\"); }", "calls strtok"),
    ("#include <pthread.h>\nint f(pthread_mutex_t *m) { return pthread_mutex_lock(m); }", "calls pthread_mutex_lock"),
    ("void *rd_kafka_new(void);\nvoid *f(void) { return rd_kafka_new(); }", "calls rd_kafka_new"),
    ("int XGBoosterLoadModel(void *, const char *);\nint f(void *b) { return XGBoosterLoadModel(b, \"x\"); }", "calls XGBoosterLoadModel"),
    ("int consumer_log(void);\nint f(void) { return consumer_log(); }", "calls consumer_log"),
    ("int counter;\nint f(void) { return ++counter; }", "writable memory: .bss"),
    ("int f(void) { static int calls = 7; return ++calls; }", "writable memory: .data"),
    ("_Thread_local int last;\nvoid f(int x) { last = x; }", "writable memory: .tbss"),
], ids=lambda value: value if "\n" not in value else "")
def test_a_planted_impurity_is_found(tmp_path, code, finding):
    wrong = impurities(plant(tmp_path, code), "scoring")
    assert any(finding in line for line in wrong), wrong


def test_pure_code_passes(tmp_path):
    code = """#include <assert.h>
        #include <math.h>
        #include <stdio.h>
        #include <string.h>
        int XGBoosterLoadModelFromBuffer(void *, const void *, unsigned long);
        static const char *const names[] = {"a", "b"};
        const char *name(int i) { assert(i < 2); return names[i]; }
        double root(__int128 a, __int128 b) { return sqrt((double)(a / b)); }
        char *list(void) { char *t = 0; size_t n; FILE *f = open_memstream(&t, &n); fprintf(f, "%d", 7); fclose(f); return t; }
        int text(char *to, double x) { return snprintf(to, 20, "%.9g", exp(x)); }
        int load(void *b, const char *text) { return XGBoosterLoadModelFromBuffer(b, text, strlen(text)); }"""
    assert impurities(plant(tmp_path, code), "scoring") == []


@pytest.mark.parametrize("path, line, right", [
    ("scoring/a.c", '#include "monitor/m.h"', False),
    ("scoring/a.c", '#include "../monitor/m.h"', False),
    ("scoring/a.c", "#include <monitor/m.h>", False),
    ("scoring/deep/a.h", '# include "consumer/c.h"', False),
    ("monitor/a.c", '#include "consumer/c.h"', False),
    ("monitor/a.c", "#include <xgboost/c_api.h>", False),
    ("monitor/a.c", "#include <time.h>", False),
    ("scoring/a.c", "#include <pthread.h>", False),
    ("scoring/a.c", "#include <librdkafka/rdkafka.h>", False),
    ("scoring/a.c", "#include <xgboost/c_api.h>", True),
    ("scoring/a.c", '#include "s.h"', True),
    ("monitor/a.c", '#include "scoring/s.h"', True),
    ("consumer/a.c", '#include "monitor/m.h"', True),
    ("consumer/a.c", "#include <time.h>", True),
])
def test_a_planted_include_is_judged(tmp_path, path, line, right):
    for name in ("scoring/s.h", "monitor/m.h", "consumer/c.h", path):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(line + "\n" if name == path else "")
    wrong, _ = wrong_includes(str(tmp_path))
    assert (wrong == []) is right, wrong
