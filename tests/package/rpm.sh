# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The RPM packages; run.sh sources it, and has the Debian packages already.

# rpm_build SOURCE FOLDER: the packages. They are moved there after the build, for they
# depend on the name of the folder that they are built in.
rpm_build() {
	"$1/packaging/rpm.sh" "$work/rpm" > "$work/$2.log" 2>&1 || {
		tail -n 20 "$work/$2.log"
		return 1
	}
	mv "$work/rpm" "$work/$2"
}

# Another place of the source, without git, and another umask, time zone, language
rpm_build_again() {
	mkdir "$work/source"
	(cd "$QCOW_TOP" && git ls-files -co --exclude-standard | tar -c -T -) |
		tar -x -C "$work/source"
	umask 027
	export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8
	rpm_build "$work/source" rpm-second
}

rpm_same_bytes() {
	local file

	for file in "$work"/rpm-first/*.rpm; do
		cmp "$file" "$work/rpm-second/${file##*/}"
	done
}

rpm_lint() {
	local out

	out=$(rpmlint -c "$QCOW_TOP/tests/package/rpmlint.toml" "$work"/rpm-first/*.rpm \
		"$QCOW_TOP/packaging/qcow.spec" 2>&1) || true
	grep -q ' 0 errors, 0 warnings' <<< "$out" || echo "$out"
}

# rpm_on_root ARGUMENTS...: rpm on a machine without packages, for which Debian's rpm has to
# be forced
rpm_on_root() {
	rpm --root "$work/rpm-root" --dbpath /var/lib/rpm --force-debian --nodeps --noscripts "$@"
}

# Files of the installed packages: those of the Debian packages, but for documents, and for
# Debian's own folder of zsh
rpm_same_files() {
	mkdir "$work/rpm-root"
	rpm_on_root --install "$work"/rpm-first/qcow-{dkms,utils}-*.*[4h].rpm
	diff -r "$work/dkms/usr/src" "$work/rpm-root/usr/src"
	diff <(files "$work/utils" | sed 's|zsh/vendor-completions|zsh/site-functions|') \
		<(files "$work/rpm-root" | grep -vE \
		'^\./(usr/share/doc|usr/share/licenses|usr/src|usr/lib/\.build-id|var/lib)/')
}

rpm_same_version() {
	local version

	version=$(dpkg-parsechangelog -l "$QCOW_TOP/debian/changelog" -S Version)
	[ "$(rpm -qp --qf '%{VERSION}' "$work"/rpm-first/qcow-utils-*.rpm)" = "$version" ] ||
		echo "packaging/qcow.spec has another version than $version"
	[ "$("$work/rpm-root/usr/sbin/qcowctl" --version)" = "qcowctl $version" ] ||
		echo "qcowctl tells another version than $version"
}

rpm_erase() {
	rpm_on_root --erase qcow-dkms qcow-utils
	find "$work/rpm-root" ! -type d ! -path '*/var/lib/rpm/*'
}
