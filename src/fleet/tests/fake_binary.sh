#!/bin/sh
# The executable of a fake replica binary in tests: reached by a symbolic link, it runs the file
# `commands` beside that link.
. "${0%/*}/commands"
