# A server as one may have it: it serves one connection at a time, writes to a folder of its own,
# and ends on SIGINT. It knows nothing of the balancer except its name and its seat.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{INT} = sub { exit 0 };

my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1)
    or die "cannot listen on port 8080: $!";

while (my $client = $listener->accept) {
    my $request = <$client> // '';
    while (my $field = <$client>) { last if $field =~ /^\r?\n$/ }
    my $body = $request =~ m{^GET /healthz } ? "well\n" : visit();
    printf $client "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
        length $body, $body;
    close $client;
}

# Counts a visit in the volume that all replicas share.
sub visit {
    open my $visits, '+>>', '/data/visits' or return "cannot write: $!\n";
    print $visits "$ENV{REPLICA_NAME}\n";
    seek $visits, 0, 0;
    my $count = () = <$visits>;
    close $visits;
    return "$ENV{REPLICA_NAME} in seat $ENV{SERVER_ID}, visit $count\n";
}
