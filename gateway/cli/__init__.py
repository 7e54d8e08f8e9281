"""The command line. Each command imports what it needs when it runs, so that `--help` is quick.

entry          where every command begins and ends; the short ways of `gateway health` and `gateway run`
main           the commands and their options
document       what `--json` prints, of every command

run            `gateway run`
demo           `gateway demo`
check          `gateway check`
explain        `gateway explain`
settings       `gateway settings`
doctor         `gateway doctor`
migrate        `gateway migrate`
recipe         `gateway recipe`
texts          `gateway texts`
operator       `gateway sessions` and `gateway grants`
subject        `gateway subject`
simulator      `gateway simulator`
reload         `gateway reload`
health         `gateway health`
admin_address  whom both ask, found without loading the settings
"""
