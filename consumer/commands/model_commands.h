/* The subcommands of `weir model`: argv[0] is the subcommand's name.  Each returns the exit status. */
#pragma once

int model_inspect(int argc, char **argv);
