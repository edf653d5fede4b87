using System.Net.Sockets;
using Google.Protobuf;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Grpc;

namespace Slipway.BuildKit.Clients;

/// <summary>The calls that a client takes over its session, of what it has to give.</summary>
internal sealed class ClientServices(ClientResources resources)
{
    private const int Chunk = 64 * 1024;
    private const int Serving = 1;

    public (GrpcService Service, IReadOnlyList<string> Methods) Create()
    {
        List<string> methods = [SessionMethods.Health];
        GrpcService service = new GrpcService().Unary<HealthRequest, HealthResponse>(
            SessionMethods.Health, HealthRequest.Parser, static (_, _) => Task.FromResult(new HealthResponse { Status = Serving }));
        Offer(SessionMethods.DiffCopy, resources.Directories.Count > 0, path => service.Duplex(path, SendFilesAsync));
        Offer(SessionMethods.GetSecret, resources.Secrets.Count > 0, path => service.Unary<SecretRequest, Bytes>(path, SecretRequest.Parser, (request, _) => Task.FromResult(Secret(request.Id))));
        Offer(SessionMethods.CheckAgent, resources.Agents.Count > 0, path => service.Unary<AgentRequest, AgentResponse>(path, AgentRequest.Parser, (request, _) =>
        {
            Agent(request.Id);
            return Task.FromResult(new AgentResponse());
        }));
        Offer(SessionMethods.ForwardAgent, resources.Agents.Count > 0, path => service.Duplex(path, ForwardAsync));
        Offer(SessionMethods.Credentials, resources.Credentials is not null, path => service.Unary<CredentialsRequest, CredentialsResponse>(
            path, CredentialsRequest.Parser, async (request, call) => await resources.Credentials!(request.Host, call.Cancelled) ?? new CredentialsResponse()));
        Offer(SessionMethods.SendFiles, resources.Outputs.Count > 0, path => service.Duplex(path, TakeOutputAsync));
        Offer(SessionMethods.Pull, resources.Upload is not null, path => service.Duplex(path, UploadAsync));
        Offer(SessionMethods.Debug, resources.Debug is not null, path => service.Duplex(path, DebugAsync));
        ClientContent content = new(resources.Stores);
        Offer(SessionMethods.ContentInfo, resources.Stores.Count > 0, path => service.Unary<ContentRequest, ContentInfoResponse>(
            path, ContentRequest.Parser, (request, call) => Task.FromResult(content.Info(request, call))));
        Offer(SessionMethods.ReadContent, resources.Stores.Count > 0, path => service.ServerStreaming(path, ReadContentRequest.Parser, content.ReadAsync));
        Offer(SessionMethods.WriteContent, resources.Stores.Count > 0, path => service.Duplex(path, content.WriteAsync));
        return (service, methods);

        void Offer(string path, bool has, Action<string> add)
        {
            if (has)
            {
                methods.Add(path);
                add(path);
            }
        }
    }

    private async Task DebugAsync(GrpcCall call)
    {
        if (await call.ReadAsync(DebugOutput.Parser) is not { Stop: { } stop })
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "a shell has to say first what it is in");
        }

        using DebugCall shell = new(call, stop);
        await resources.Debug!(shell, call.Cancelled);
    }

    private async Task SendFilesAsync(GrpcCall call)
    {
        string name = call.Metadata("dir-name");
        SharedDirectory directory = resources.Directories.GetValueOrDefault(name) ?? throw new GrpcException(GrpcStatusCode.NotFound, $"no access allowed to dir \"{name}\"");
        FileSelection selection = directory.Select(Values(call, "followpaths"), Values(call, "exclude-patterns"));
        await FileSender.SendAsync(call, directory.Root, selection, directory.Sent, call.Cancelled);
    }

    private static IReadOnlyList<string> Values(GrpcCall call, string name)
    {
        IReadOnlyList<string> values = call.MetadataValues(name);
        return call.Metadata(name + "-encoded") == "1" ? [.. values.Select(Uri.UnescapeDataString)] : values;
    }

    private Bytes Secret(string id) => resources.Secrets.TryGetValue(id, out byte[]? value)
        ? new Bytes { Data = ByteString.CopyFrom(value) }
        : throw new GrpcException(GrpcStatusCode.NotFound, $"secret {id} not found");

    private string Agent(string id) => resources.Agents.GetValueOrDefault(id.Length == 0 ? "default" : id) ?? throw new GrpcException(GrpcStatusCode.NotFound, $"unset ssh forward key {id}");

    private async Task ForwardAsync(GrpcCall call)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Agent(call.Metadata("buildkit.ssh.id"))), call.Cancelled);
        await using NetworkStream agent = new(socket);
        Task answering = AnswerAsync();
        while (await call.ReadAsync(Bytes.Parser) is { } message)
        {
            await agent.WriteAsync(message.Data.Memory, call.Cancelled);
        }

        socket.Shutdown(SocketShutdown.Send);
        await answering;

        async Task AnswerAsync()
        {
            byte[] buffer = new byte[Chunk];
            for (int count; (count = await agent.ReadAsync(buffer, call.Cancelled)) > 0;)
            {
                await call.WriteAsync(new Bytes { Data = ByteString.CopyFrom(buffer, 0, count) });
            }
        }
    }

    private async Task TakeOutputAsync(GrpcCall call)
    {
        Func<Stream, CancellationToken, Task> take = int.TryParse(call.Metadata("buildkit-attachable-exporter-id"), out int id) && resources.Outputs.TryGetValue(id, out var output)
            ? output
            : throw new GrpcException(GrpcStatusCode.NotFound, "no such output");
        await using CallStream archive = new(call);
        await take(archive, call.Cancelled);
    }

    private async Task UploadAsync(GrpcCall call)
    {
        if (resources.Upload is not var (id, archive) || call.Metadata("urlpath").TrimStart('/') != id)
        {
            throw new GrpcException(GrpcStatusCode.NotFound, "no such upload");
        }

        byte[] buffer = new byte[Chunk];
        for (int count; (count = await archive.ReadAsync(buffer, call.Cancelled)) > 0;)
        {
            await call.WriteAsync(new Bytes { Data = ByteString.CopyFrom(buffer, 0, count) });
        }
    }
}
