"""embed.py OUT.c HEADER PREFIX FILE...: each file's text as `const char <PREFIX><name>[]`, declared by HEADER."""
import os
import sys

path_out, header, prefix, paths = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with open(path_out, "w") as out:
    out.write(f'#include "{header}"\n')
    for path in paths:
        name = os.path.basename(path).rsplit(".", 1)[0]
        lines = open(path, encoding="utf-8").read().splitlines(keepends=True)
        quoted = ["    \"" + line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + "\"" for line in lines]
        out.write(f"\nconst char {prefix}{name}[] =\n" + "\n".join(quoted) + ";\n")
