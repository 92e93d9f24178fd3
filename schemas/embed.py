"""embed.py OUT.c SCHEMA...: each file's text as `const char schema_<name>[]`."""
import os
import sys

with open(sys.argv[1], "w") as out:
    out.write('#include "schemas/embedded.h"\n')
    for path in sys.argv[2:]:
        name = os.path.basename(path).rsplit(".", 1)[0]
        lines = open(path, encoding="utf-8").read().splitlines(keepends=True)
        quoted = ["    \"" + line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + "\"" for line in lines]
        out.write(f"\nconst char schema_{name}[] =\n" + "\n".join(quoted) + ";\n")
