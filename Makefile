# The one front door. `make run` and `make test` need only what README names; every other target says what it misses.

CARGO ?= cargo
SECONDS_EACH ?= 60
MINUTES_EACH ?= 30

.PHONY: help run build test check fmt clippy doc deny arrows spec-coverage ct-check bench fuzz-smoke fuzz-long attempt-times interop conformance load faults install module install-module uninstall-module interop-module deb check-packaging clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build the server, log in to it once and show how, keep serving until Ctrl-C
	$(CARGO) run --release --locked --quiet -p afpd-rs -- quickstart $(ARGS)

build: ## build the server (target/release/afpd-rs)
	$(CARGO) build --release --locked -p afpd-rs

test: ## all tests that need nothing but Rust
	$(CARGO) test --locked --workspace

check: fmt clippy doc arrows spec-coverage deny ## every gate that looks at the source

fmt:
	$(CARGO) fmt --all -- --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

arrows: ## crates know only those below them (docs/architecture.md)
	scripts/arrows.py

spec-coverage: ## every test that docs/spec-coverage.md and docs/faults.md name exists
	scripts/spec-coverage.py

deny: ## licences, bans, sources of the dependencies
	scripts/deny.sh

ct-check: ## constant time, seen by valgrind
	tools/ct-check/run.sh

bench: ## one login's arithmetic beside OpenSSL and libgcrypt
	tools/bench/run.sh

fuzz-smoke: ## each fuzz target for SECONDS_EACH seconds
	fuzz/smoke.sh $(SECONDS_EACH)

fuzz-long: ## each for MINUTES_EACH minutes of processor time, small corpora, coverage; goes on where it was interrupted
	fuzz/long.sh $(MINUTES_EACH)

conformance: ## the black-box suite; AFP_SUBJECT=host:port names another server
	$(CARGO) test --locked -p conformance

attempt-times: ## wrong, refused and unknown logins take the same time: distributions compared
	$(CARGO) test --release --locked -p srp-uam --test attempt_times -- --ignored --nocapture --test-threads=1
	$(CARGO) test --release --locked -p afpd-rs --test times -- --ignored --nocapture

faults: ## what may go wrong, and that nothing is lost by it (docs/faults.md; a part of it: Debian, root)
	interop/faults.sh

interop: ## the real peers: Netatalk, its tests, nmap, tshark (Debian, root)
	interop/run.sh

load: ## logins, idle connections, slow clients, floods, beside Netatalk; 7 minutes, LOAD=short 3 (Debian, root)
	interop/load.sh

check-packaging: ## unit, Avahi, fail2ban with systemd's, Avahi's and fail2ban's own tools; the .deb in a chroot (Debian, root)
	packaging/check.sh
	packaging/test-deb.sh

TARGET = $(or $(CARGO_TARGET_DIR),target)
UAMDIR ?= $(shell afpd -V 2>/dev/null | sed -n 's/^ *UAM search path:[[:space:]]*//p')
INSTALLED_MODULE = $(DESTDIR)$(UAMDIR:/=)/uams_srp.so

module: ## build uams_srp.so, the SRP login for Netatalk (docs/netatalk-module.md)
	$(CARGO) build --release --locked -p uams-srp

install-module: module ## put it in the place of Netatalk's, kept beside it; UAMDIR= names the directory
	@test -d "$(DESTDIR)$(UAMDIR)" -a -n "$(UAMDIR)" || { echo "no directory of Netatalk's login modules: name it with UAMDIR= (afpd -V shows it)"; exit 1; }
	@if [ -e "$(INSTALLED_MODULE)" ] && ! grep -q 'afpd-rs uams_srp' "$(INSTALLED_MODULE)"; then cp -p "$(INSTALLED_MODULE)" "$(INSTALLED_MODULE).netatalk"; fi
	install -m 644 "$(TARGET)/release/libuams_srp.so" "$(INSTALLED_MODULE).new"
	mv -f "$(INSTALLED_MODULE).new" "$(INSTALLED_MODULE)"

uninstall-module: ## put Netatalk's own uams_srp.so back
	@test -e "$(INSTALLED_MODULE).netatalk" || { echo "nothing to put back: there is no $(INSTALLED_MODULE).netatalk"; exit 1; }
	mv -f "$(INSTALLED_MODULE).netatalk" "$(INSTALLED_MODULE)"

interop-module: ## the real afpd with our uams_srp.so (Debian, root)
	interop/run-module.sh

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BUILT = $(or $(CARGO_TARGET_DIR),target)/release/afpd-rs
install: build ## install program, manual, settings, systemd, Avahi and fail2ban files below DESTDIR (docs/packaging.md)
	install -D -m 755 $(BUILT) $(DESTDIR)$(PREFIX)/sbin/afpd-rs
	install -d $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -D -m 644 config/afpd-rs.toml $(DESTDIR)$(PREFIX)/share/doc/afpd-rs/afpd-rs.toml
	install -D -m 644 config/avahi/afpd-rs.service $(DESTDIR)$(PREFIX)/share/afpd-rs/avahi/afpd-rs.service
	install -D -m 644 config/systemd/afpd-rs.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/afpd-rs.conf
	install -D -m 644 config/systemd/afpd-rs.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/afpd-rs.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' config/systemd/afpd-rs.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/afpd-rs.service
	install -D -m 644 config/fail2ban/filter.d/afpd-rs.conf $(DESTDIR)$(SYSCONFDIR)/fail2ban/filter.d/afpd-rs.conf
	install -D -m 644 config/fail2ban/jail.d/afpd-rs.conf $(DESTDIR)$(SYSCONFDIR)/fail2ban/jail.d/afpd-rs.conf

deb: ## a Debian package of it, in target/
	packaging/deb.sh

clean: ## remove what was built
	$(CARGO) clean
