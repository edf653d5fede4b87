using System.Globalization;
using Google.Protobuf.Collections;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>Where the result of a build goes: images here, archives and directories over the session.</summary>
internal static class SolveOutputs
{
    /// <summary>By which clients know the directory of their output.</summary>
    private const string LayoutStore = "export";

    private const string ExporterHeader = "buildkit-attachable-exporter-id";

    /// <exception cref="EngineException">InvalidParameter.</exception>
    /// <exception cref="GrpcException">Unimplemented.</exception>
    public static IReadOnlyList<BuildOutput> Translate(SolveRequest solve, ClientSession? session)
    {
        List<Exporter> exporters = [.. solve.Exporters];
        if (exporters.Count == 0 && solve.Exporter.Length > 0)
        {
            exporters.Add(new Exporter { Type = solve.Exporter, Attributes = { solve.ExporterAttributes } });
        }

        return [.. exporters.Select((exporter, id) => Translate(exporter, id, session))];
    }

    private static BuildOutput Translate(Exporter exporter, int id, ClientSession? session)
    {
        MapField<string, string> attributes = exporter.Attributes;
        switch (exporter.Type)
        {
            case "moby" or "image":
                return new ImageOutput(Names(attributes), IsTrue(attributes, "push"));
            case "oci" when IsFolder(attributes):
                return new LayoutOutput(Names(attributes), (session is null ? null : new SessionStores(session).Find(LayoutStore))
                    ?? throw new GrpcException(GrpcStatusCode.FailedPrecondition, "the client takes no blobs"));
            case "docker" when IsFolder(attributes):
                throw new GrpcException(GrpcStatusCode.Unimplemented, $"output type={exporter.Type} without a tar is not supported");
            case "docker":
                return new ArchiveOutput(ArchiveFormat.Docker, Names(attributes), Open(session, id));
            case "oci":
                return new ArchiveOutput(ArchiveFormat.Oci, Names(attributes), Open(session, id));
            case "tar":
                return new ArchiveOutput(ArchiveFormat.Tar, [], Open(session, id));
            case "local":
                return new FilesOutput(new ClientTarget(Require(session), id));
            default:
                throw new GrpcException(GrpcStatusCode.Unknown, $"exporter \"{exporter.Type}\" could not be found");
        }
    }

    private static List<Reference> Names(MapField<string, string> attributes)
    {
        List<Reference> names = [];
        foreach (string name in attributes.TryGetValue("name", out string? all) ? all.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [])
        {
            names.Add(Reference.TryParse(name, out Reference? reference)
                ? reference!.WithDefaultTag()
                : throw new EngineException(ErrorKind.InvalidParameter, $"failed to parse {name}: invalid reference format"));
        }

        return names;
    }

    private static bool IsFolder(MapField<string, string> attributes) => attributes.TryGetValue("tar", out string? tar) && tar is "false" or "0";

    private static bool IsTrue(MapField<string, string> attributes, string name) =>
        attributes.TryGetValue(name, out string? value) && (value.Length == 0 || (bool.TryParse(value, out bool parsed) ? parsed : value == "1"));

    private static Func<CancellationToken, Task<Stream>> Open(ClientSession? session, int id) => async cancellationToken =>
        new ByteStream(await Require(session).Channel.OpenAsync(SessionMethods.SendFiles, Bytes.Parser, Headers(id), cancellationToken), isDelivery: true);

    private static KeyValuePair<string, string>[] Headers(int id) => [new(ExporterHeader, id.ToString(CultureInfo.InvariantCulture))];

    private static ClientSession Require(ClientSession? session)
    {
        if (session is null || !session.Offers(SessionMethods.SendFiles))
        {
            throw new GrpcException(GrpcStatusCode.FailedPrecondition, "the client takes no files");
        }

        return session;
    }

    /// <summary>A directory of the client that gets the files of a result.</summary>
    private sealed class ClientTarget(ClientSession session, int id) : IFilesTarget
    {
        public async Task WriteAsync(Microsoft.Win32.SafeHandles.SafeFileHandle root, string folder, CancellationToken cancellationToken) =>
            await FileSender.SendAsync(
                token => session.Channel.OpenAsync(SessionMethods.SendFiles, FilePacket.Parser, Headers(id), token), root, folder, cancellationToken);
    }
}
