# at COMMAND...: sends each to the modem's AT port and prints what it answers;
# fails when one is answered by an error, or not within five seconds.
use strict;
use Fcntl;
my $port = '/dev/a7670e/at';
sysopen(my $p, $port, O_RDWR | O_NOCTTY | O_NONBLOCK) or die "$port: $!\n";
system('stty', '-F', $port, 'raw', '-echo') == 0 or die "stty failed\n";
my $bad = 0;
for my $command (@ARGV) {
    syswrite($p, "$command\r") // die "$port: $!\n";
    my $got = '';
    my $end = time + 5;
    while ($got !~ /^(OK|(\+CM[ES] )?ERROR.*)\r?$/m) {
        time <= $end or die "$got\nno answer to $command\n";
        my $ready = '';
        vec($ready, fileno($p), 1) = 1;
        select($ready, undef, undef, 0.5) > 0 or next;
        sysread($p, my $more, 4096) // next;
        $got .= $more;
    }
    $bad = 1 if $got =~ /ERROR/;
    $got =~ s/[\r\n]+/\n/g;
    print $got;
}
exit $bad;
