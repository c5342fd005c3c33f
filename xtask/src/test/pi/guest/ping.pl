# ping HOST COUNT [BYTES]: echo requests with BYTES of data (56), one after the
# other, each with a second for its answer; fails when one is lost.
use strict;
use Socket;
my ($host, $count, $bytes) = @ARGV;
my $data = 'x' x ($bytes // 56);
my $to = sockaddr_in(0, inet_aton($host) // die "no host $host\n");
socket(my $s, PF_INET, SOCK_RAW, 1) or die "socket: $!\n";
my $ok = 0;
for my $i (1 .. $count) {
    my $echo = pack('CCnnn', 8, 0, 0, $$ & 0xffff, $i) . $data;
    my $sum = 0;
    $sum += $_ for unpack('n*', length($echo) % 2 ? "$echo\0" : $echo);
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    substr($echo, 2, 2) = pack('n', ~$sum & 0xffff);
    send($s, $echo, 0, $to) // die "send: $!\n";
    my $end = time + 2;
    while (time < $end) {
        my $ready = '';
        vec($ready, fileno($s), 1) = 1;
        select($ready, undef, undef, 0.5) > 0 or next;
        recv($s, my $packet, 65535, 0) // die "recv: $!\n";
        # Behind an IP header without options: type, code, sum, id, number.
        my ($type, undef, undef, $id, $n) = unpack('CCnnn', substr($packet, 20));
        next if $type != 0 || $id != ($$ & 0xffff) || $n != $i;
        last if substr($packet, 28) ne $data;
        $ok++;
        last;
    }
}
print "$ok of $count\n";
exit($ok == $count ? 0 : 1);
