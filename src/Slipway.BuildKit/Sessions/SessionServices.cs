using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Sessions;

/// <summary>What a client gives of itself over its session, apart from files.</summary>
public static class SessionServices
{
    /// <summary>Bytes; a secret is a file that is held in memory.</summary>
    private const int MaxSecret = 500 * 1024;

    /// <summary>A value of the client's; null where it has none of this id.</summary>
    /// <exception cref="GrpcException">ResourceExhausted for one that is too large, or the client's error.</exception>
    public static async Task<ReadOnlyMemory<byte>?> SecretAsync(this ClientSession session, string id, CancellationToken cancellationToken)
    {
        if (!session.Offers(SessionMethods.GetSecret))
        {
            return null;
        }

        try
        {
            Bytes answer = await session.Channel.CallAsync(SessionMethods.GetSecret, new SecretRequest { Id = id }, Bytes.Parser, cancellationToken);
            return answer.Data.Length <= MaxSecret
                ? answer.Data.Memory
                : throw new GrpcException(GrpcStatusCode.ResourceExhausted, $"invalid secret size {answer.Data.Length}, at most {MaxSecret} bytes are taken");
        }
        catch (GrpcException error) when (error.Code is GrpcStatusCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>Whether the client forwards an agent under this id.</summary>
    public static async Task<bool> HasAgentAsync(this ClientSession session, string id, CancellationToken cancellationToken)
    {
        if (!session.Offers(SessionMethods.CheckAgent))
        {
            return false;
        }

        try
        {
            await session.Channel.CallAsync(SessionMethods.CheckAgent, new AgentRequest { Id = id }, AgentResponse.Parser, cancellationToken);
            return true;
        }
        catch (GrpcException error) when (error.Code is GrpcStatusCode.NotFound or GrpcStatusCode.Unknown)
        {
            // buildx says "unset ssh forward key" without a code.
            return false;
        }
    }

    /// <summary>A connection to the client's agent.</summary>
    public static async Task<ByteStream> ConnectAgentAsync(this ClientSession session, string id, CancellationToken cancellationToken) =>
        new(await session.Channel.OpenAsync(SessionMethods.ForwardAgent, Bytes.Parser, [new("buildkit.ssh.id", id)], cancellationToken), isDelivery: false);

    /// <summary>A shell's terminal at the client.</summary>
    public static Task<GrpcStream<DebugInput>> OpenDebugAsync(this ClientSession session, CancellationToken cancellationToken) =>
        session.Channel.OpenAsync(SessionMethods.Debug, DebugInput.Parser, [], cancellationToken);

    /// <summary>The client's user and secret for a registry; null where it has none.</summary>
    public static async Task<CredentialsResponse?> CredentialsAsync(this ClientSession session, string host, CancellationToken cancellationToken)
    {
        if (!session.Offers(SessionMethods.Credentials))
        {
            return null;
        }

        CredentialsResponse answer = await session.Channel.CallAsync(SessionMethods.Credentials, new CredentialsRequest { Host = host }, CredentialsResponse.Parser, cancellationToken);
        return answer.Secret.Length == 0 ? null : answer;
    }

    /// <summary>A stream that the client had on its standard input.</summary>
    /// <param name="id">As in <c>http://buildkit-session/ID</c>.</param>
    public static async Task<ByteStream> PullAsync(this ClientSession session, string id, CancellationToken cancellationToken)
    {
        session.Require(SessionMethods.Pull);
        ByteStream stream = new(await session.Channel.OpenAsync(SessionMethods.Pull, Bytes.Parser, [new("urlpath", "/" + id)], cancellationToken), isDelivery: false);
        await stream.CompleteWritingAsync();
        return stream;
    }
}
