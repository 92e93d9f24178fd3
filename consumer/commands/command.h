/* One function a command: argv[0] is the command's name.  Returns the exit status: 0 done, 1 failed, 2 usage or config. */
#pragma once

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_baseline(int argc, char **argv);
int command_train(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_model(int argc, char **argv);
int command_monitor(int argc, char **argv);
