# SPDX-License-Identifier: GPL-2.0
#
# make              the module for KDIR, and the tools
# make install      both, with the udev rules and the list of modules to load
# make deb          Debian packages of both, in the folder packages
# make test         all tests; make demo, bench, check: see README
KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=

all: module tools

module:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools:
	$(MAKE) -C userspace

install: module tools
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_DIR=extra modules_install
	$(MAKE) -C userspace install DESTDIR=$(DESTDIR)

deb:
	debian/build.sh packages

clean:
	rm -rf packages
	$(MAKE) -C userspace clean
	$(if $(wildcard $(KDIR)),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)

# Each of these installs the packages that it needs and can be run by itself.
demo:
	tests/demo/run.sh

test:
	tests/run.sh

kunit:
	tests/run.sh kunit

fuzz:
	tests/run.sh fuzz

vmtest:
	tests/run.sh vm-7

# Runs for TORTURE_MINUTES
torture:
	tests/write/torture.sh

bench:
	tests/bench/run.sh

check:
	tests/check/run.sh

.PHONY: all module tools install deb clean demo test kunit fuzz vmtest torture bench check
