// The dumbbell of bench/dumbbell.py in ns-3: `dumbbell PAIRS SECONDS`. Prints seconds of real time, bytes received.
//
// The same links, queues, segment sizes and number of flows; ns-3's own TCP, CUBIC, with sockets' buffers
// large enough for the path, as those of Linux grow to be.
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

using namespace ns3;

int main(int argc, char *argv[])
{
	const uint32_t pairs = std::atoi(argv[1]);
	const double seconds = std::atof(argv[2]);
	const auto began = std::chrono::steady_clock::now();

	Config::SetDefault("ns3::TcpL4Protocol::SocketType", StringValue("ns3::TcpCubic"));
	Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
	Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(4 << 20));
	Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(6 << 20));
	Config::SetDefault("ns3::DropTailQueue<Packet>::MaxSize", StringValue("100p"));

	NodeContainer routers, left, right;
	routers.Create(2);
	left.Create(pairs);
	right.Create(pairs);
	InternetStackHelper stack;
	stack.InstallAll();

	PointToPointHelper access, bottleneck;
	access.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
	access.SetChannelAttribute("Delay", StringValue("1ms"));
	bottleneck.SetDeviceAttribute("DataRate", StringValue("2Mbps"));
	bottleneck.SetChannelAttribute("Delay", StringValue("100ms"));

	Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
	addresses.Assign(bottleneck.Install(routers));
	ApplicationContainer sinks;
	for (uint32_t i = 0; i < pairs; i++) {
		addresses.NewNetwork();
		addresses.Assign(access.Install(left.Get(i), routers.Get(0)));
		addresses.NewNetwork();
		auto there = addresses.Assign(access.Install(routers.Get(1), right.Get(i)));
		InetSocketAddress target(there.GetAddress(1), 5001);
		PacketSinkHelper sink("ns3::TcpSocketFactory", target);
		sinks.Add(sink.Install(right.Get(i)));
		BulkSendHelper bulk("ns3::TcpSocketFactory", target);
		bulk.Install(left.Get(i));
	}
	Ipv4GlobalRoutingHelper::PopulateRoutingTables();

	Simulator::Stop(Seconds(seconds));
	Simulator::Run();
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < pairs; i++)
		bytes += DynamicCast<PacketSink>(sinks.Get(i))->GetTotalRx();
	const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
	std::cout << passed.count() << " " << bytes << std::endl;
	Simulator::Destroy();
	return 0;
}
