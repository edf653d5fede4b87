using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Keys;

/// <summary>
/// The keys of packets between this host and another. Who receives makes the key and is ready to receive before it tells it; who sends decides when it needs one: in each
/// life of its engine, when a key is old, and when a state is lost on either side. So there is always a state on the other side for what is sent, and no key is
/// used by two states: what was told is used once, at once, and remembered by nobody but the kernels.
/// </summary>
internal sealed class PairKeys(IPAddress peer, IEspPairs pairs, TimeSpan lifetime, TimeProvider time)
{
    /// <summary>How long packets that were sent with the key before may be on their way.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    /// <summary>States to receive with, at most: a member that asks for keys and uses none of them gets others in the place of those.</summary>
    public const int MaxReceiving = 6;

    /// <summary>What this life of the engine sends with; 0: nothing yet.</summary>
    private uint _sending;

    /// <summary>The other host has no state for it.</summary>
    private bool _isLost;

    private uint _heard;
    private long _heardAt;

    /// <summary>What to tell the other host.</summary>
    /// <returns>Null where there is nothing to encrypt here.</returns>
    public async Task<KeyRequest?> AskAsync(string self, CancellationToken cancellationToken)
    {
        if (await pairs.ReadAsync(peer, cancellationToken) is not { } pair)
        {
            _sending = 0;
            return null;
        }

        EspState? sending = pair.Sending.FirstOrDefault(state => state.Spi == _sending) ?? (pair.Sending.Count > 0 ? pair.Sending[^1] : null);
        return new KeyRequest { From = self, Sending = sending?.Spi ?? 0, Wants = sending is null || sending.Spi != _sending || _isLost || IsOld(sending) };
    }

    /// <summary>Takes what the other host answered.</summary>
    /// <exception cref="ClusterProtocolException">It cannot be meant.</exception>
    public async Task<KeyOutcome> TakeAsync(KeyRequest asked, KeyAnswer answer, CancellationToken cancellationToken)
    {
        answer.Validate();
        if (asked.Wants && answer.Secret is { } secret)
        {
            (_sending, _isLost) = (await pairs.SendAsync(peer, new EspKey(answer.Spi, secret), cancellationToken) ? answer.Spi : 0, false);
            return _sending == 0 ? KeyOutcome.Missing : KeyOutcome.Agreed;
        }

        _isLost = asked.Sending != 0 && answer.Receiving?.Contains(asked.Sending) == false;
        return _isLost ? KeyOutcome.Missing : asked.Sending == 0 ? KeyOutcome.Refused : KeyOutcome.Agreed;
    }

    /// <summary>Answers the other host.</summary>
    public async Task<KeyAnswer> AnswerAsync(KeyRequest request, CancellationToken cancellationToken)
    {
        if (await pairs.ReadAsync(peer, cancellationToken) is not { } pair)
        {
            return new KeyAnswer();
        }

        List<EspState> receiving = [.. pair.Receiving];
        await ForgetAsync(receiving, Unused(request.Sending, receiving), cancellationToken);
        if (!request.Wants)
        {
            return new KeyAnswer { Receiving = [.. receiving.Select(state => state.Spi)] };
        }

        await ForgetAsync(receiving, [.. receiving.Where(state => state.Spi != request.Sending).Take(receiving.Count - (MaxReceiving - 1))], cancellationToken);
        EspKey? key = await pairs.ReceiveAsync(peer, cancellationToken);
        return new KeyAnswer { Receiving = [.. receiving.Select(state => state.Spi)], Spi = key?.Spi ?? 0, Secret = key?.Secret };
    }

    /// <summary>The clock may have been set: what is of the future is old.</summary>
    private bool IsOld(EspState state) => time.GetUtcNow() - state.Added is var age && (age >= lifetime || age < -Grace);

    /// <summary>What the other host does not send with any more. What was made since may be what it will send with next.</summary>
    private List<EspState> Unused(uint used, List<EspState> receiving)
    {
        if (used == 0 || !receiving.Exists(state => state.Spi == used))
        {
            return [];
        }

        if (used != _heard)
        {
            (_heard, _heardAt) = (used, time.GetTimestamp());
        }

        DateTimeOffset now = time.GetUtcNow();
        return time.GetElapsedTime(_heardAt) < Grace ? [] : [.. receiving.Where(state => state.Spi != used && (now - state.Added).Duration() >= Grace)];
    }

    private async Task ForgetAsync(List<EspState> receiving, List<EspState> unused, CancellationToken cancellationToken)
    {
        if (unused.Count > 0)
        {
            await pairs.ForgetAsync(unused, cancellationToken);
            receiving.RemoveAll(unused.Contains);
        }
    }
}

internal enum KeyOutcome
{
    /// <summary>The other host receives what is sent to it.</summary>
    Agreed,

    /// <summary>A key is to be asked for at once.</summary>
    Missing,

    /// <summary>The other host gives none.</summary>
    Refused,
}
