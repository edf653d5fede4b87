using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// Passes questions on to other servers, for all containers: the host's servers from the host's network namespace, those named for a container from
/// the container's.
/// </summary>
internal sealed class DnsForwarder(NamespaceThread thread, NetworkNamespace home) : IDisposable
{
    private const int Domain = 53;
    private const int MaxMessage = 65535;

    /// <summary>Questions under way at once. More are not waited for: a container that asks without end holds up nobody but itself.</summary>
    private const int Limit = 512;

    /// <summary>For one server; clients wait 5 seconds (resolv.conf(5), timeout).</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _underway = new(Limit);

    /// <summary>Asks one server after the other, unless one has answered before; null if none answers.</summary>
    /// <param name="stream">The client asked by TCP, and so is the server.</param>
    public async Task<byte[]?> AskAsync(
        byte[] query, DnsQuestion question, bool stream, DnsUpstreams servers, NetworkNamespace sandbox, CancellationToken cancellationToken)
    {
        if (servers.Cache.Find(query, question, stream) is { } known)
        {
            return known;
        }

        if (!await _underway.WaitAsync(0, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        try
        {
            byte[]? failure = null;
            foreach (UpstreamServer server in servers.InOrder())
            {
                byte[]? answer = await AskOneAsync(query, question, stream, server, sandbox, cancellationToken).ConfigureAwait(false);
                if (answer is null)
                {
                    servers.WasSilent(server);
                    continue;
                }

                // A server that says it cannot is passed over as long as there are others (resolv.conf(5)).
                servers.Answered(server);
                if ((answer[3] & 0xF) != (int)DnsCode.ServerFailure)
                {
                    servers.Cache.Add(query, question, stream, answer);
                    return answer;
                }

                failure ??= answer;
            }

            return failure;
        }
        finally
        {
            _underway.Release();
        }
    }

    public void Dispose() => _underway.Dispose();

    private async Task<byte[]?> AskOneAsync(byte[] query, DnsQuestion question, bool stream, UpstreamServer server, NetworkNamespace sandbox, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_timeout);
        try
        {
            using Socket socket = server.FromContainer
                ? await thread.RunAsync(() => NamespaceThread.Within(sandbox, home, () => Open(server.Address, stream)), limit.Token).ConfigureAwait(false)
                : await thread.RunAsync(() => Open(server.Address, stream), limit.Token).ConfigureAwait(false);

            // An id of our own: the client's, and the port it came from, are known inside the container.
            byte[] asked = [.. query];
            RandomNumberGenerator.Fill(asked.AsSpan(0, 2));
            await socket.ConnectAsync(new IPEndPoint(server.Address, Domain), limit.Token).ConfigureAwait(false);
            byte[] answer = stream
                ? await AskByStreamAsync(socket, asked, limit.Token).ConfigureAwait(false)
                : await AskByDatagramAsync(socket, asked, question, limit.Token).ConfigureAwait(false);
            if (!IsAnswer(answer, asked, question))
            {
                return null;
            }

            query.AsSpan(0, 2).CopyTo(answer);
            return answer;
        }
        catch (Exception exception) when (exception is SocketException or IOException or Kernel.KernelException or ObjectDisposedException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null; // it does not answer; the next one may
        }
    }

    private static Socket Open(IPAddress server, bool stream) =>
        new(server.AddressFamily, stream ? SocketType.Stream : SocketType.Dgram, stream ? ProtocolType.Tcp : ProtocolType.Udp);

    private static async Task<byte[]> AskByDatagramAsync(Socket socket, byte[] query, DnsQuestion question, CancellationToken cancellationToken)
    {
        await socket.SendAsync(query, cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[MaxMessage];
        while (true)
        {
            // What does not belong to the question is not the answer, but no reason to stop waiting for it: somebody may be guessing.
            int length = await socket.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false);
            byte[] answer = buffer[..length];
            if (IsAnswer(answer, query, question))
            {
                return answer;
            }
        }
    }

    private static async Task<byte[]> AskByStreamAsync(Socket socket, byte[] query, CancellationToken cancellationToken)
    {
        await using NetworkStream stream = new(socket, ownsSocket: false);
        await stream.WriteAsync((byte[])[(byte)(query.Length >> 8), (byte)query.Length, .. query], cancellationToken).ConfigureAwait(false);
        byte[] prefix = new byte[2];
        await stream.ReadExactlyAsync(prefix, cancellationToken).ConfigureAwait(false);
        byte[] answer = new byte[(prefix[0] << 8) | prefix[1]];
        await stream.ReadExactlyAsync(answer, cancellationToken).ConfigureAwait(false);
        return answer;
    }

    /// <summary>Same id, a response, and where it repeats the question, this one (RFC 5452 section 9.1).</summary>
    private static bool IsAnswer(byte[] answer, byte[] query, DnsQuestion question) =>
        answer.Length >= DnsQuestion.HeaderLength
        && answer[0] == query[0] && answer[1] == query[1] && (answer[2] & 0x80) != 0
        && ((answer[4] | answer[5]) == 0 || RepeatsQuestion(answer.AsSpan(DnsQuestion.HeaderLength), question.Section.Span));

    /// <summary>Names are compared without regard to case: some servers change it.</summary>
    private static bool RepeatsQuestion(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question)
    {
        if (answer.Length < question.Length)
        {
            return false;
        }

        for (int i = 0; i < question.Length; i++)
        {
            if (answer[i] != question[i] && char.ToLowerInvariant((char)answer[i]) != char.ToLowerInvariant((char)question[i]))
            {
                return false;
            }
        }

        return true;
    }
}
