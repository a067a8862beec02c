# SPDX-License-Identifier: GPL-2.0
#
# make              the module for KDIR, and the tools
# make install      both, with the udev rules and the list of modules to load
# make uninstall    removes all files that make install installs
#                   DESTDIR and PREFIX have to be those of make install
# make deb, rpm     Debian packages of both, or RPM packages, in the folder packages
# make htmldocs     the documentation as a book, in the folder Documentation/output/html
# make test         all tests; make demo, bench, check: see README
# make hosttest     the packages on a whole Debian 12, in a virtual machine
KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=

all: module tools

module:
	$(headers)
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools:
	$(MAKE) -C userspace

# modules_install skips depmod if the kernel's headers come without System.map. A folder
# DESTDIR is for a package, which runs depmod where it is installed.
install: module tools
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=extra \
		DEPMOD=true modules_install
	$(MAKE) -C userspace install
	$(depmod)

uninstall:
	rm -f $(module-folder)/qcow.ko $(module-folder)/qcow.ko.*
	[ ! -d $(module-folder) ] || rmdir --ignore-fail-on-non-empty $(module-folder)
	$(MAKE) -C userspace uninstall
	$(depmod)

# As uname -r tells it of the kernel that KDIR is of. Debian's "make kernelrelease" does not.
kernel-release = $(or $(shell sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2> /dev/null),$(no-headers))
no-headers = $(error $(KDIR) has no kernel headers: install linux-headers-$(shell uname -r) \
	(kernel-devel on Fedora and the like), or give KDIR=FOLDER)
headers = $(if $(wildcard $(KDIR)/Makefile),,$(no-headers))
module-folder = $(DESTDIR)/lib/modules/$(kernel-release)/extra
depmod = $(if $(DESTDIR),,depmod $(kernel-release))

deb:
	debian/build.sh packages

rpm:
	packaging/rpm.sh packages

# -n: a reference to nothing is a warning, and each warning an error.
htmldocs:
	@for program in sphinx-build mandoc; do command -v $$program > /dev/null || { \
		echo "make htmldocs needs $$program; on Debian:" \
			"apt install python3-sphinx python3-myst-parser mandoc" >&2; exit 1; }; done
	sphinx-build -nWq --keep-going -b html -d $(book)/doctrees Documentation $(book)/html

book ?= Documentation/output

clean:
	rm -rf packages Documentation/output
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

hosttest:
	tests/host/run.sh

# Runs for TORTURE_MINUTES
torture:
	tests/write/torture.sh

bench:
	tests/bench/run.sh

# About an hour
bench-places:
	tests/bench/matrix.sh

check:
	tests/check/run.sh

.PHONY: all module tools install uninstall deb rpm htmldocs clean demo test kunit fuzz vmtest
.PHONY: hosttest torture bench bench-places check
