"""A first session with a network: two hosts, a bad line between them, and an hour that takes no time.

python examples/networks/first_network.py
"""

import asyncio

import liblinux


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until nothing does."""
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def ask() -> bytes:
    """Plain asyncio: names, clock and sockets are the network's."""
    reader, writer = await asyncio.open_connection("server", 7)
    await asyncio.sleep(3600)
    writer.write(b"still there?")
    answer = await reader.read(100)
    writer.close()
    await asyncio.sleep(1)
    return answer


with liblinux.Network(clock="virtual", seed=1) as net:
    client, server = net.host("client"), net.host("server")
    net.link(client, server, rate="10Mbit", delay="20ms", loss=0.01)

    with net.capture("first_network.pcapng"):  # Wireshark opens it
        print(net.ping("client", "server", count=3))

        async def main() -> None:
            listening = await server.create_task(asyncio.start_server(echo, "", 7))
            print(await client.create_task(ask()), "after", int(asyncio.get_running_loop().time()), "seconds")
            listening.close()

        net.run(main())
