# flow HOST FILE: an echo request every 50 ms until FILE exists; prints each pause
# between two answers that is longer than 250 ms: when it ended, and its length,
# both in milliseconds. Then how many were sent and answered.
use strict;
use Socket;
use POSIX ();
# perl-base has no finer clock: hundredths of a second since some moment.
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
sub moment { (POSIX::times())[0] / $ticks }
my ($host, $file) = @ARGV;
my $to = sockaddr_in(0, inet_aton($host) // die "no host $host\n");
socket(my $s, PF_INET, SOCK_RAW, 1) or die "socket: $!\n";
my ($begin, $n, $answers) = (moment(), 0, 0);
my ($last, $next) = ($begin, $begin);
while (!-e $file) {
    my $now = moment();
    if ($now >= $next) {
        $next = $now + 0.05;
        $n++;
        my $echo = pack('CCnnn', 8, 0, 0, $$ & 0xffff, $n & 0xffff);
        my $sum = 0;
        $sum += $_ for unpack('n*', $echo);
        $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
        substr($echo, 2, 2) = pack('n', ~$sum & 0xffff);
        # Without a route there is a pause, no end.
        send($s, $echo, 0, $to);
    }
    my $ready = '';
    vec($ready, fileno($s), 1) = 1;
    my $wait = $next - moment();
    select($ready, undef, undef, $wait > 0 ? $wait : 0) > 0 or next;
    recv($s, my $packet, 65535, 0) // next;
    my ($type, undef, undef, $id) = unpack('CCnn', substr($packet, 20));
    next if $type != 0 || $id != ($$ & 0xffff);
    my $pause = (moment() - $last) * 1000;
    printf "%.0f %.0f\n", (moment() - $begin) * 1000, $pause if $pause > 250;
    $last = moment();
    $answers++;
}
my $pause = (moment() - $last) * 1000;
printf "%.0f %.0f\n", (moment() - $begin) * 1000, $pause if $pause > 250;
print "$answers of $n\n";
