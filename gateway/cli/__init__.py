"""The command line. Each command imports what it needs when it runs, so that `--help` is quick.

entry          where every command begins and ends; the short way of `gateway health`
main           the commands and their options
document       what `--json` prints, of every command

demo           `gateway demo`
check          `gateway check`
explain        `gateway explain`
doctor         `gateway doctor`
migrate        `gateway migrate`
operator       `gateway sessions` and `gateway grants`
simulator      `gateway simulator`
health         `gateway health`
admin_address  whom that has to ask, found without loading the settings
"""
