using System.Net;
using System.Security.Cryptography;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// IPsec of this host's encrypted networks. They have a UDP port of their own, and between this host and each other one the kernel sends and takes packets to
/// that port as ESP packets of our states only: where there is none, because no key was agreed on yet or somebody deleted it, they are dropped. Policies and
/// states know each other, and we know them, by a number; those of other programs are left alone. Used by the host's thread.
/// </summary>
internal sealed class HostEncryption : IDisposable
{
    /// <summary>"SLIP".</summary>
    public const uint RequestId = 0x534c4950;

    /// <summary>Numbers of states: the upper byte, by which an operator knows them, and 24 bits at random.</summary>
    private const uint SpiPrefix = 0x53000000;
    private const int SpiBits = 24;

    private readonly HashSet<int> _networks = [];
    private XfrmSession? _session;
    private OverlayOptions? _options;

    private XfrmSession Session => _session ??= new XfrmSession();

    /// <summary>Encrypts a network's packets, before it has a link. What an earlier engine left is taken over, or goes where the host is no member any more.</summary>
    /// <exception cref="NetworkException">Unavailable: the kernel cannot encrypt. Conflict: another program has policies of the same packets.</exception>
    public void Add(OverlayOptions options)
    {
        Probe(options);
        _options = options;
        EnsurePolicies(options);
        HashSet<EspFlow> flows = [.. Policies(options).Select(policy => policy.Flow)];
        Forget([.. Session.States(RequestId).Where(state => !flows.Contains(state.Flow))]);
        _networks.Add(options.Number);
    }

    /// <summary>Encrypts a network's packets no longer, after its link was removed.</summary>
    /// <param name="isLast">There was no other one here.</param>
    public void Remove(int number, bool isLast)
    {
        _networks.Remove(number);
        if (!isLast || _networks.Count > 0)
        {
            return;
        }

        try
        {
            foreach (EspPolicy policy in Session.Policies(RequestId))
            {
                Session.DeletePolicy(policy);
            }

            Forget(Session.States(RequestId));
        }
        catch (KernelException e) when (e.Errno == Errno.EPROTONOSUPPORT)
        {
            return; // a kernel without IPsec has nothing of it
        }
    }

    public EspPair? Read(IPAddress peer)
    {
        if (Active is not { } options)
        {
            return null;
        }

        EnsurePolicies(options);
        IReadOnlyList<EspState> states = [.. Session.States(RequestId).OrderBy(state => state.Added)];
        return new EspPair([.. states.Where(state => state.Flow == To(options, peer))], [.. states.Where(state => state.Flow == From(options, peer))]);
    }

    public EspKey? Receive(IPAddress peer)
    {
        const int Attempts = 8;
        if (Active is not { } options)
        {
            return null;
        }

        byte[] secret = RandomNumberGenerator.GetBytes(EspState.KeyLength);
        for (int attempt = 1; ; attempt++)
        {
            EspState state = new(From(options, peer), SpiPrefix | (uint)RandomNumberGenerator.GetInt32(1 << SpiBits), RequestId);
            try
            {
                Session.AddState(state, secret);
                return new EspKey(state.Spi, secret);
            }
            catch (KernelException e) when (e.Errno == Errno.EEXIST && attempt < Attempts)
            {
                continue; // of another program, or ours
            }
        }
    }

    public bool Send(IPAddress peer, EspKey key)
    {
        if (Active is not { } options)
        {
            return false;
        }

        EspState added = new(To(options, peer), key.Spi, RequestId);
        try
        {
            Session.AddState(added, key.Secret);
        }
        catch (KernelException e) when (e.Errno == Errno.EEXIST)
        {
            return false;
        }

        // The kernel takes the newest, but not for what it has looked up before.
        Forget([.. Session.States(RequestId).Where(state => state.Flow == added.Flow && state.Spi != added.Spi)]);
        return true;
    }

    public void Forget(IReadOnlyList<EspState> states)
    {
        foreach (EspState state in states)
        {
            Session.DeleteState(state);
        }
    }

    public void Dispose() => _session?.Dispose();

    private OverlayOptions? Active => _networks.Count > 0 ? _options : null;

    private static EspFlow To(OverlayOptions options, IPAddress peer) => new(options.Local, peer, options.Port);

    private static EspFlow From(OverlayOptions options, IPAddress peer) => new(peer, options.Local, options.Port);

    private static IEnumerable<EspPolicy> Policies(OverlayOptions options) => options.Hosts.Distinct().SelectMany(host => new[]
    {
        new EspPolicy(To(options, host), PolicyDirection.Out, RequestId),
        new EspPolicy(From(options, host), PolicyDirection.In, RequestId),
    });

    /// <summary>Makes the policies exactly those between this host and the others.</summary>
    private void EnsurePolicies(OverlayOptions options)
    {
        HashSet<EspPolicy> wanted = [.. Policies(options)];
        IReadOnlyList<EspPolicy> existing = Session.Policies(RequestId);
        foreach (EspPolicy policy in wanted.Except(existing))
        {
            try
            {
                Session.AddPolicy(policy);
            }
            catch (KernelException e) when (e.Errno == Errno.EEXIST)
            {
                throw new NetworkException(
                    NetworkErrorKind.Conflict, $"another program of this host has an IPsec policy of UDP packets from {policy.Flow.Source} to {policy.Flow.Destination}, port {policy.Flow.Port}", e);
            }
        }

        foreach (EspPolicy policy in existing.Where(policy => !wanted.Contains(policy)))
        {
            Session.DeletePolicy(policy);
        }
    }

    /// <summary>Whether the kernel can encrypt is known only when it is to.</summary>
    private void Probe(OverlayOptions options)
    {
        EspState state = new(To(options, options.Local), SpiPrefix | (uint)RandomNumberGenerator.GetInt32(1 << SpiBits), RequestId);
        try
        {
            Session.AddState(state, RandomNumberGenerator.GetBytes(EspState.KeyLength));
            Session.DeleteState(state);
        }
        catch (KernelException e) when (e.Errno is Errno.EPROTONOSUPPORT or Errno.ENOSYS or Errno.ENOENT)
        {
            throw new NetworkException(
                NetworkErrorKind.Unavailable,
                "this host's kernel cannot encrypt networks, which takes IPsec's ESP with AES-GCM (CONFIG_XFRM_USER, CONFIG_INET_ESP, CONFIG_CRYPTO_GCM, CONFIG_CRYPTO_SEQIV; modules xfrm_user, esp4, gcm, seqiv): "
                    + e.Message,
                e);
        }
    }
}
