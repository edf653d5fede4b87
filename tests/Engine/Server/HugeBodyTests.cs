using System.Diagnostics;
using System.Net.Sockets;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Bodies that nobody reads. Alone, since what is allocated is counted for the whole process.</summary>
[CollectionDefinition(nameof(HugeBodyTests), DisableParallelization = true)]
[Collection(nameof(HugeBodyTests))]
public sealed class HugeBodyTests
{
    private const string Head = "POST /v1.50/containers/create?name=n HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: close\r\n";

    [Fact]
    public async Task A_huge_body_is_refused_before_it_is_sent()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using Socket client = await server.ConnectAsync();
        long before = GC.GetTotalAllocatedBytes();
        Stopwatch time = Stopwatch.StartNew();
        await client.SayAsync(Head + "Content-Length: 104857600\r\n\r\n");
        Task sending = SendZerosAsync(client, 104857600);
        string answer = await client.ReadTextAsync();
        await sending;

        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
        Assert.True(time.Elapsed < TimeSpan.FromSeconds(10), $"took {time.Elapsed}");
        Assert.True(GC.GetTotalAllocatedBytes() - before < 50 * 1024 * 1024, "the body was buffered");
    }

    [Fact]
    public async Task A_huge_body_of_unknown_length_is_refused_too()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Head + "Transfer-Encoding: chunked\r\n\r\n6400000\r\n");
        Task sending = SendZerosAsync(client, 0x6400000);
        string answer = await client.ReadTextAsync();
        await sending;

        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
    }

    private static async Task SendZerosAsync(Socket client, long count)
    {
        byte[] zeros = new byte[64 * 1024];
        try
        {
            while (count > 0)
            {
                count -= await client.SendAsync(zeros.AsMemory(0, (int)Math.Min(count, zeros.Length)), SocketFlags.None);
            }
        }
        catch (SocketException)
        {
            // The server stopped listening to it.
        }
    }
}
