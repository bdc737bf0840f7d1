# SPDX-License-Identifier: Apache-2.0
# usage: call.pl RING TOOL ARGUMENT...    one call of a tool of a double ring (serve.py); perl starts the quickest
use strict;
use Socket;

my $root = shift @ARGV;
my $connected = 0;
for (1 .. 1500) {
    socket(my $server, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    unless (connect($server, sockaddr_un("$root/socket"))) {
        # It is still starting.
        select(undef, undef, undef, 0.02);
        next;
    }
    $connected = 1;
    binmode $server;
    my $request = join("", map { "$_\0" } @ARGV);
    while (length $request) {
        my $sent = syswrite($server, $request) or die "write: $!";
        $request = substr($request, $sent);
    }
    shutdown($server, 1);
    local $/;
    my $answer = <$server>;
    $answer =~ s/^(\d+) (\d+)\n// or die "no answer";
    my ($status, $length) = ($1, $2);
    print STDOUT substr($answer, 0, $length);
    print STDERR substr($answer, $length);
    exit $status;
}
die "no server" unless $connected;
