using System.Net;
using System.Security.Cryptography;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>The kernel of one of two hosts, as far as keys are concerned.</summary>
internal sealed class FakeEspPairs(TimeProvider time) : IEspPairs
{
    private static readonly EspFlow s_flow = new(IPAddress.Loopback, IPAddress.Loopback, 4790);

    private readonly HashSet<string> _used = [];
    private uint _number = 0x53000000;

    public List<EspState> Sending { get; } = [];

    public List<EspState> Receiving { get; } = [];

    /// <summary>By number.</summary>
    public Dictionary<uint, string> Secrets { get; } = [];

    public bool HasNetworks { get; set; } = true;

    /// <summary>Another program has the next number.</summary>
    public bool IsNextTaken { get; set; }

    /// <summary>What the kernel says to everything.</summary>
    public Exception? Failure { get; set; }

    public Task<EspPair?> ReadAsync(IPAddress peer, CancellationToken cancellationToken) =>
        Failure is null ? Task.FromResult(HasNetworks ? new EspPair([.. Sending], [.. Receiving]) : null) : Task.FromException<EspPair?>(Failure);

    public Task<EspKey?> ReceiveAsync(IPAddress peer, CancellationToken cancellationToken)
    {
        byte[] secret = RandomNumberGenerator.GetBytes(EspState.KeyLength);
        Receiving.Add(State(++_number));
        Secrets[_number] = Convert.ToHexString(secret);
        return Task.FromResult<EspKey?>(new EspKey(_number, secret));
    }

    public Task<bool> SendAsync(IPAddress peer, EspKey key, CancellationToken cancellationToken)
    {
        Assert.True(_used.Add(Convert.ToHexString(key.Secret)), "a key was used twice");
        if (IsNextTaken)
        {
            IsNextTaken = false;
            return Task.FromResult(false);
        }

        Secrets[key.Spi] = Convert.ToHexString(key.Secret);
        Sending.Clear();
        Sending.Add(State(key.Spi));
        return Task.FromResult(true);
    }

    public Task ForgetAsync(IReadOnlyList<EspState> states, CancellationToken cancellationToken)
    {
        Receiving.RemoveAll(states.Contains);
        return Task.CompletedTask;
    }

    private EspState State(uint spi) => new(s_flow, spi, 1) { Added = time.GetUtcNow() };
}
