#!/bin/sh
# Takes the arguments that the images of docker's registry take: a configuration file, or a command.
set -e

case "$1" in
  *.yaml | *.yml) set -- oci-registry serve "$@" ;;
  serve | check | garbage-collect | purge-uploads | verify | stats | explain | help | -*) set -- oci-registry "$@" ;;
esac

exec "$@"
