# SPDX-License-Identifier: GPL-2.0
#
# The entry points for people; the module itself is described in Kbuild.
# Each kernel has its own directory below build/, so that they do not collide.

SHELL := /bin/bash
.DEFAULT_GOAL := module

VM := tools/vm/vm

# The kernel to build for: KDIR or KERNELRELEASE from the command line, else
# the running one, else (no headers for it) the newest stock kernel here.
ifdef KDIR
RELEASE := $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"$$/\1/p' '$(KDIR)/include/generated/utsrelease.h')
BUILDDIR := $(KDIR)
else
ifdef KERNELRELEASE
RELEASE := $(KERNELRELEASE)
else
RUNNING := $(shell uname -r)
RELEASE := $(if $(wildcard /lib/modules/$(RUNNING)/build),$(RUNNING),$(firstword $(shell $(VM) kernels)))
endif
BUILDDIR := /lib/modules/$(RELEASE)/build
# What builds for the kernel of another Debian is in the tree with that only.
ifeq ($(wildcard $(BUILDDIR)/Makefile),)
ifneq ($(RELEASE),)
ifeq ($(RELEASE),$(shell tools/debian-tree.sh kernel))
IN_TREE := tools/debian-tree.sh run
endif
endif
endif
endif

# The kernel that run and shell boot: the one named, else the newest stock one.
VMKERNEL = $(or $(KERNELRELEASE),$(firstword $(shell $(VM) kernels)))

# What a user may say to kbuild. The rest of the command line stays here:
# the kernel's Makefile gives names like KERNELRELEASE its own meaning.
MAKEOVERRIDES :=
KBUILD := $(foreach v,V W C CF CC LLVM LLVM_IAS,$(if $(filter command environment,$(firstword $(origin $v))),$v='$($v)'))

DIR := build/$(RELEASE)
PREFIX ?= /usr/local
INSTALL_HDR_PATH ?= $(DESTDIR)$(PREFIX)
# What "make install" puts below PREFIX.
INSTALLED := bin/ferry lib/ferry/ferry-bench lib/ferry/libferry-preload.so share/man/man1/ferry.1 share/man/man7/af_ferry.7 \
	     share/bash-completion/completions/ferry lib/systemd/system/ferry-port@.service \
	     $(patsubst uapi/%,include/%,$(wildcard uapi/linux/*.h))
# Where Python looks below PREFIX; elsewhere it needs PYTHONPATH.
PYTHONDIR ?= $(or $(shell /usr/bin/python3 -c 'import site; print(next(path for path in \
	     site.getsitepackages() if path.startswith("$(PREFIX)/lib/")))' 2>/dev/null), \
	     $(PREFIX)/lib/python3/dist-packages)
# What DKMS builds the module from, and what the packages are made from.
VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
MODULE_SOURCES := Kbuild dkms.conf module uapi
SOURCES := $(MODULE_SOURCES) COPYING Documentation Makefile README.md debian packaging tools
# kbuild and depmod run elsewhere. depmod is ours to run: kbuild leaves it out
# without a System.map, which Debian's headers do not have.
MODROOT := $(abspath $(INSTALL_MOD_PATH))
INDEX = PATH="$$PATH:/usr/sbin:/sbin" depmod $(if $(MODROOT),-b '$(MODROOT)') '$(RELEASE)'
BENCH_ARGS ?=

## Build
.PHONY: module
ifdef IN_TREE
module:
	+@$(IN_TREE) $(MAKE) --no-print-directory module KERNELRELEASE='$(RELEASE)' $(KBUILD)
else
module:			## build ferry.ko for the running kernel (KERNELRELEASE=..., KDIR=...; W=1, C=2, V=1)
	@[ -n '$(RELEASE)' ] || { echo "No kernel to build for; try: make setup"; exit 1; }
	@[ -e '$(BUILDDIR)/Makefile' ] || { echo "No headers in $(BUILDDIR); try: make setup"; exit 1; }
	@$(if $(KDIR)$(KERNELRELEASE),,[ '$(RELEASE)' = "$$(uname -r)" ] || \
		echo "No headers for the running kernel ($$(uname -r)): building for $(RELEASE)")
	@mkdir -p '$(DIR)'
	+@flock '$(DIR)/.lock' $(MAKE) --no-print-directory build-locked \
		RELEASE='$(RELEASE)' BUILDDIR='$(BUILDDIR)' $(KBUILD)
endif

# Links to the sources, so that objects land in build/ and not beside them.
.PHONY: build-locked
build-locked:
	@find '$(DIR)' -type l -delete
	@cp -rsf '$(CURDIR)/Kbuild' '$(CURDIR)/module' '$(CURDIR)/uapi' '$(DIR)/'
	+@$(MAKE) --no-print-directory -C '$(BUILDDIR)' M='$(CURDIR)/$(DIR)' $(KBUILD) modules
	@cmp -s '$(DIR)/ferry.ko' ferry.ko || cp --remove-destination '$(DIR)/ferry.ko' ferry.ko

.PHONY: tools
tools:			## build the ferry command and its library (needs libmnl-dev, libjson-c-dev, pkg-config)
	@pkg-config --exists libmnl json-c || { echo "The ferry command needs libmnl and json-c:" \
		"apt install libmnl-dev libjson-c-dev pkg-config"; exit 1; }
	+@$(MAKE) --no-print-directory -s -C tools/ferry OUT='$(CURDIR)/build/tools'
	+@$(MAKE) --no-print-directory -s -C tools/preload OUT='$(CURDIR)/build/tools'
	+@$(MAKE) --no-print-directory -s -C tools/bench OUT='$(CURDIR)/build/bench'

.PHONY: modules_install
modules_install: module	## install it for that kernel, as root (INSTALL_MOD_PATH=...)
	+@$(IN_TREE) $(MAKE) --no-print-directory -C '$(BUILDDIR)' M='$(CURDIR)/$(DIR)' \
		INSTALL_MOD_PATH='$(MODROOT)' CONFIG_MODULE_SIG_ALL= modules_install
	@$(INDEX)

.PHONY: modules_uninstall
modules_uninstall:	## remove it again (INSTALL_MOD_PATH=...); one that is loaded stays so
	rm -f '$(MODROOT)/lib/modules/$(RELEASE)'/{updates,extra}/ferry.ko{,.gz,.xz,.zst}
	@$(INDEX)

.PHONY: dkms_install
dkms_install:		## install the module's sources in /usr/src for DKMS (DESTDIR=...)
	install -d '$(DESTDIR)/usr/src/ferry-$(VERSION)'
	cp -r --no-preserve=ownership $(MODULE_SOURCES) '$(DESTDIR)/usr/src/ferry-$(VERSION)/'

.PHONY: headers_install
headers_install:	## install <linux/ferry*.h> below INSTALL_HDR_PATH (/usr/local)
	install -D -m 644 -t '$(INSTALL_HDR_PATH)/include/linux' uapi/linux/*.h

.PHONY: python_install
python_install:		## install the Python module below PREFIX (/usr/local; DESTDIR=..., PYTHONDIR=...)
	install -D -m 644 -t '$(DESTDIR)$(strip $(PYTHONDIR))' tools/python/ferry.py

.PHONY: install uninstall
install: tools headers_install python_install	## install command, manual pages, headers below PREFIX (DESTDIR=...)
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/bin' build/tools/ferry
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/ferry' build/tools/libferry-preload.so
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/lib/ferry' build/bench/ferry-bench
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man1' Documentation/ferry.1
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man7' Documentation/af_ferry.7
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' tools/ferry/completion/ferry
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/systemd/system' 'packaging/systemd/ferry-port@.service'

uninstall:		## remove them again (PREFIX=..., DESTDIR=...)
	rm -f $(foreach file,$(INSTALLED),'$(DESTDIR)$(PREFIX)/$(file)') '$(DESTDIR)$(strip $(PYTHONDIR))/ferry.py'

.PHONY: deb
deb:			## build the Debian packages ferry-dkms and ferry-tools in build/deb
	@rm -rf build/deb && mkdir -p build/deb/ferry
	@cp -r $(SOURCES) build/deb/ferry/
	@cd build/deb/ferry && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc -b

.PHONY: sparse
sparse:			## build with W=1 and sparse, endian checks on; any warning fails
	@tools/setup.sh base check
	@tools/gates.sh gcc

.PHONY: clean
clean:			## remove what was built
	rm -rf build ferry.ko
	@[ ! -e selftests/Makefile ] || $(MAKE) --no-print-directory -C selftests clean >/dev/null

## Use and test
.PHONY: setup
setup:			## install the Debian packages that the targets below need
	@tools/setup.sh base check

.PHONY: run
run:			## show two unmodified programs that talk over the family, in a virtual machine
	@tools/setup.sh base
	+@$(MAKE) --no-print-directory module KERNELRELEASE="$$($(VM) kernels | head -n 1)"
	@$(VM) run --timeout 120 -- tools/demo.sh

.PHONY: shell
shell:			## a prompt in the machine with the module loaded (KERNELRELEASE=...)
	@tools/setup.sh base
	+@$(MAKE) --no-print-directory module KERNELRELEASE='$(VMKERNEL)'
	@$(VM) shell --kernel '$(VMKERNEL)' $(VM_ARGS)

.PHONY: check
check:			## build, static checks and the selftests on Linux 7, 6.12, 6.1 and a debug kernel
	@tools/setup.sh base check programs next cross debug
	@tools/check.sh

STRESS_SECONDS ?= 600
STRESS_ON ?= debug
# LINUX=7.3, or another version, is the one whose source the test kernels are built from.
test_kernel = export FERRY_LINUX=$(LINUX); tools/setup.sh base check $(if $(LINUX),next) debug
.PHONY: check-debug check-kcsan check-rt coverage
check-debug:		## the selftests on a kernel with KASAN, lockdep, kmemleak, ... (LINUX=7.3)
	@$(test_kernel) && tools/check-debug.sh

check-kcsan:		## the selftests on a kernel that reports data races (LINUX=7.3)
	@$(test_kernel) && tools/check-kcsan.sh

check-rt:		## the selftests on Debian's PREEMPT_RT kernels
	@tools/setup.sh base check rt
	@tools/check-rt.sh

.PHONY: stress
stress:			## stress on the debug kernel (STRESS_SECONDS=600, STRESS_ON=kcsan)
	@tools/setup.sh base check debug
	@FERRY_STRESS_SECONDS=$$(($(STRESS_SECONDS) / 3)) FERRY_TIMEOUT=$$(($(STRESS_SECONDS) * 2 + 1800)) \
		tools/check-$(STRESS_ON).sh -t $$(($(STRESS_SECONDS) + 600)) \
		stress_pairs stress_connect stress_traffic

MINUTES ?= 10
FUZZ_ARGS ?=
.PHONY: fuzz
fuzz:			## random calls, guided by coverage, on the debug kernel (MINUTES=10, FUZZ_ARGS=...)
	@tools/setup.sh base check debug
	@tools/fuzz/run.sh -t $(MINUTES) $(FUZZ_ARGS)

coverage:		## which lines of the module the selftests reach
	@tools/setup.sh base check debug
	@tools/coverage.sh

.PHONY: check-packages
check-packages:		## build, install and remove the packages, and by DKMS the module, on Debian 12 and 13
	@tools/setup.sh base check next
	@tools/check-packages.sh

.PHONY: conformance
conformance:		## run the selftests on every family, write Documentation/conformance.md, README.md
	@tools/setup.sh base check
	@tools/conformance -r README.md

.PHONY: bench
bench:			## measure the family against its peers (BENCH_ARGS=...)
	@tools/setup.sh base bench
	@tools/bench/run.sh $(BENCH_ARGS)

.PHONY: help
help:			## this list
	@awk -F ':.*## ' '/^## / { print substr($$0, 4) ":" } \
		/^[a-z_-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
