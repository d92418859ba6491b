#!/bin/sh
# Stands in for the replica binary in tests: reached by a symbolic link, it runs the commands beside that.
. "${0%/*}/commands"
