<?php

// PHP's built-in server, alone and with its sessions in files. BENCH_KIND, BENCH_DATA: see the servers in Go.
declare(strict_types=1);

const FIRST_COUNT = 1_000_000;

function withoutSession(string $path): string
{
    if ($path === '/seed' || $path === '/sign-in') {
        setcookie('bench', bin2hex(random_bytes(32)));
    }
    return match ($path) {
        '/untouched' => 'untouched',
        '/seed' => 'seeded',
        '/sign-in' => 'welcome',
        '/read' => 'ada',
        // Nothing is kept from one request to the next.
        '/write', '/count' => (string) (FIRST_COUNT + 1),
    };
}

function withSession(string $path): string
{
    if ($path === '/untouched') {
        return 'untouched';
    }
    session_start(['read_and_close' => $path === '/read' || $path === '/count']);
    if ($path === '/sign-in') {
        session_regenerate_id(true);
    }
    if ($path === '/seed' || $path === '/sign-in') {
        $_SESSION = json_decode(getenv('BENCH_DATA'), true);
    }
    return match ($path) {
        '/seed' => 'seeded',
        '/sign-in' => 'welcome',
        '/read' => $_SESSION['user'],
        '/write' => (string) ++$_SESSION['count'],
        '/count' => (string) $_SESSION['count'],
    };
}

$path = $_SERVER['REQUEST_URI'];
$answer = getenv('BENCH_KIND') === 'bare' ? withoutSession($path) : withSession($path);
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($answer));
echo $answer;
