namespace Slipway.BuildKit.Sessions;

/// <summary>Paths of the calls that a client may take over its session.</summary>
public static class SessionMethods
{
    public const string DiffCopy = "/moby.filesync.v1.FileSync/DiffCopy";
    public const string SendFiles = "/moby.filesync.v1.FileSend/DiffCopy";
    public const string GetSecret = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
    public const string CheckAgent = "/moby.sshforward.v1.SSH/CheckAgent";
    public const string ForwardAgent = "/moby.sshforward.v1.SSH/ForwardAgent";
    public const string Credentials = "/moby.filesync.v1.Auth/Credentials";
    public const string Pull = "/moby.upload.v1.Upload/Pull";
    public const string ContentInfo = "/containerd.services.content.v1.Content/Info";
    public const string ReadContent = "/containerd.services.content.v1.Content/Read";
    public const string WriteContent = "/containerd.services.content.v1.Content/Write";
    public const string Debug = "/slipway.v1.Debug/Shell";
    public const string Health = "/grpc.health.v1.Health/Check";
}
