#!/bin/sh
# mongod from a package that was built for OpenSSL 1.1, with the libraries out of another one. make copies this to where
# .mongodb/VERSION/bin/mongod stands, beside lib/ and the packages.
here=$(dirname "$(readlink -f "$0")")/..
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/fiftyone/db/bin/mongod" "$@"
