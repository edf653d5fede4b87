using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using static Slipway.Kernel.Netlink.XfrmMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>IPsec in the network namespace of the thread that opened the session: states with keys, and policies that demand them. Of IPv4, ESP, transport mode.</summary>
public sealed class XfrmSession : NetlinkSession
{
    private const string Algorithm = "rfc4106(gcm(aes))";
    private const int AlgorithmNameLength = 64;
    private const uint TagBits = 128;

    /// <summary>Packets by which one may come after those that were sent after it.</summary>
    private const int ReplayWindow = 1024;

    /// <exception cref="KernelException">The socket could not be opened. EPROTONOSUPPORT: the kernel has no IPsec.</exception>
    public XfrmSession()
        : base(NETLINK_XFRM)
    {
    }

    internal XfrmSession(SafeFileHandle socket)
        : base(socket)
    {
    }

    /// <summary>Adds a state with sequence numbers of 64 bits. Its packets count from one: a key is never to be used for two.</summary>
    /// <param name="key">Of <see cref="EspState.KeyLength"/> bytes.</param>
    /// <exception cref="KernelException">EEXIST: the receiver has one of this number. ENOSYS, EPROTONOSUPPORT: the kernel lacks the algorithm, or ESP.</exception>
    public void AddState(EspState state, ReadOnlySpan<byte> key)
    {
        if (key.Length != EspState.KeyLength)
        {
            throw new ArgumentException($"a key has {EspState.KeyLength} bytes", nameof(key));
        }

        byte[] algorithm = new byte[AlgorithmNameLength + 8 + key.Length];
        byte[] replay = new byte[(6 * sizeof(uint)) + (ReplayWindow / 8)];
        try
        {
            Encoding.ASCII.GetBytes(Algorithm, algorithm);
            MemoryMarshal.Write(algorithm.AsSpan(AlgorithmNameLength), (uint)key.Length * 8);
            MemoryMarshal.Write(algorithm.AsSpan(AlgorithmNameLength + 4), TagBits);
            key.CopyTo(algorithm.AsSpan(AlgorithmNameLength + 8));
            MemoryMarshal.Write(replay, (uint)ReplayWindow / 32); // words of the bitmap behind the structure
            MemoryMarshal.Write(replay.AsSpan(5 * sizeof(uint)), (uint)ReplayWindow);
            Writer.Reset();
            using (Writer.Begin(XFRM_MSG_NEWSA, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add IPsec state {Name(state)}"))
            {
                Writer.Fixed(new StateInfo
                {
                    Selector = Selector.Of(state.Flow),
                    Id = new Id { Destination = Address.Of(state.Flow.Destination), Spi = BinaryPrimitives.ReverseEndianness(state.Spi), Protocol = IPPROTO_ESP },
                    Source = Address.Of(state.Flow.Source),
                    Limits = Limits.None,
                    RequestId = state.RequestId,
                    Family = NetlinkNative.AF_INET,
                    Mode = XFRM_MODE_TRANSPORT,
                    Flags = XFRM_STATE_ESN,
                });
                Writer.Attribute(XFRMA_ALG_AEAD, algorithm);
                Writer.Attribute(XFRMA_REPLAY_ESN_VAL, replay);
            }

            Execute(Writer);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(algorithm);
            Writer.Erase();
        }
    }

    /// <returns>False where there is none.</returns>
    public bool DeleteState(EspState state)
    {
        Writer.Reset();
        using (Writer.Begin(XFRM_MSG_DELSA, NetlinkFlags.Ack, $"delete IPsec state {Name(state)}"))
        {
            Writer.Fixed(new StateId
            {
                Destination = Address.Of(state.Flow.Destination),
                Spi = BinaryPrimitives.ReverseEndianness(state.Spi),
                Family = NetlinkNative.AF_INET,
                Protocol = IPPROTO_ESP,
            });
        }

        return TryExecute(Errno.ESRCH);
    }

    /// <summary>The states with a request id, without those that the kernel itself has noted as missing.</summary>
    public IReadOnlyList<EspState> States(uint requestId)
    {
        Writer.Reset();
        using (Writer.Begin(XFRM_MSG_GETSA, NetlinkFlags.Dump, "list IPsec states"))
        {
            Writer.UInt8(XFRMA_PROTO, IPPROTO_ESP);
        }

        return Query(Writer, "list IPsec states", message =>
            message.Type == XFRM_MSG_NEWSA && message.TryFixed(out StateInfo info, out _) && info.RequestId == requestId && info.Id is { Protocol: IPPROTO_ESP, Spi: not 0 } && info.Selector.ToFlow() is { } flow
                ? new EspState(flow, BinaryPrimitives.ReverseEndianness(info.Id.Spi), info.RequestId) { Added = DateTimeOffset.FromUnixTimeSeconds((long)Math.Min(info.Usage.Added, uint.MaxValue)) }
                : null);
    }

    /// <exception cref="KernelException">EEXIST: there is one for this flow.</exception>
    public void AddPolicy(EspPolicy policy)
    {
        Writer.Reset();
        using (Writer.Begin(XFRM_MSG_NEWPOLICY, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add IPsec policy {Name(policy)}"))
        {
            Writer.Fixed(new PolicyInfo { Selector = Selector.Of(policy.Flow), Limits = Limits.None, Priority = EspPolicy.Priority, Direction = (byte)policy.Direction });
            Template template = new()
            {
                Id = new Id { Destination = Address.Of(policy.Flow.Destination), Protocol = IPPROTO_ESP },
                Family = NetlinkNative.AF_INET,
                Source = Address.Of(policy.Flow.Source),
                RequestId = policy.RequestId,
                Mode = XFRM_MODE_TRANSPORT,
                AuthenticationAlgorithms = uint.MaxValue,
                EncryptionAlgorithms = uint.MaxValue,
                CompressionAlgorithms = uint.MaxValue,
            };
            Writer.Attribute(XFRMA_TMPL, MemoryMarshal.AsBytes(new ReadOnlySpan<Template>(in template)));
        }

        Execute(Writer);
    }

    /// <returns>False where there is none.</returns>
    public bool DeletePolicy(EspPolicy policy)
    {
        Writer.Reset();
        using (Writer.Begin(XFRM_MSG_DELPOLICY, NetlinkFlags.Ack, $"delete IPsec policy {Name(policy)}"))
        {
            Writer.Fixed(new PolicyId { Selector = Selector.Of(policy.Flow), Direction = (byte)policy.Direction });
        }

        return TryExecute(Errno.ENOENT);
    }

    /// <summary>The policies that demand states with a request id.</summary>
    public IReadOnlyList<EspPolicy> Policies(uint requestId)
    {
        Writer.Reset();
        using (Writer.Begin(XFRM_MSG_GETPOLICY, NetlinkFlags.Dump, "list IPsec policies"))
        {
            // All.
        }

        return Query(Writer, "list IPsec policies", message =>
            message.Type == XFRM_MSG_NEWPOLICY && message.TryFixed(out PolicyInfo info, out AttributeReader attributes) && info.Selector.ToFlow() is { } flow
            && info is { Priority: EspPolicy.Priority, Direction: (byte)PolicyDirection.In or (byte)PolicyDirection.Out, Action: 0 }
            && attributes.Find(XFRMA_TMPL, out ReadOnlySpan<byte> value) && MemoryMarshal.TryRead(value, out Template template) && template.RequestId == requestId
            && template is { Id.Protocol: IPPROTO_ESP, Mode: XFRM_MODE_TRANSPORT, Optional: 0 }
                ? new EspPolicy(flow, (PolicyDirection)info.Direction, template.RequestId)
                : null);
    }

    private static string Name(EspState state) => $"0x{state.Spi:x8} of {Name(state.Flow)}";

    private static string Name(EspPolicy policy) => $"{(policy.Direction == PolicyDirection.In ? "in" : "out")} of {Name(policy.Flow)}";

    private static string Name(EspFlow flow) => $"{flow.Source} to {flow.Destination} UDP {flow.Port}";

    private bool TryExecute(int absent)
    {
        try
        {
            Execute(Writer);
            return true;
        }
        catch (KernelException e) when (e.Errno == absent)
        {
            return false;
        }
    }
}
