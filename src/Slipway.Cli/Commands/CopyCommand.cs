using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli.Copying;
using Slipway.Client;
using Slipway.Kernel;
using Slipway.Storage;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway cp</c>.</summary>
internal static class CopyCommand
{
    private const string Standard = "-";

    // Go's os.ModeDir and os.ModeSymlink, which the engine's answers have.
    private const uint DirectoryBit = 1u << 31;
    private const uint LinkBit = 1u << 27;

    public static Command Create()
    {
        Option<bool> archive = new("--archive", "-a") { Description = "Archive mode (copy all uid/gid information)" };
        Option<bool> follow = new("--follow-link", "-L") { Description = "Always follow symbol link in SRC_PATH" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Suppress progress output during copy" };
        Argument<string> source = new("SRC") { Description = "CONTAINER:PATH, a path of this host, or - for a tar archive from STDIN" };
        Argument<string> destination = new("DEST") { Description = "CONTAINER:PATH, a path of this host, or - for a tar archive to STDOUT" };
        Command command = new("cp", "Copy files/folders between a container and the local filesystem") { archive, follow, quiet, source, destination };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            (CopyPlace from, CopyPlace to) = (CopyPlace.Parse(result.GetValue(source)!), CopyPlace.Parse(result.GetValue(destination)!));
            Copy copy = new(client, result.GetValue(archive), result.GetValue(follow));
            try
            {
                await ((from.Container, to.Container) switch
                {
                    ({ } container, null) => copy.OutAsync(container, from.Path, to.Path, cancellationToken),
                    (null, { } container) => copy.InAsync(from.Path, container, to.Path, cancellationToken),
                    (null, null) => throw new CommandException("must specify at least one container source", 1),
                    _ => throw new CommandException("copying between containers is not supported", 1),
                }).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is StorageException or KernelException)
            {
                throw new CommandException(exception.Message, 1);
            }

            return 0;
        });
        return command;
    }

    /// <param name="KeepOwner">Files keep their user and group.</param>
    /// <param name="FollowLink">A source that is a link stands for what it leads to.</param>
    private sealed record Copy(EngineClient Client, bool KeepOwner, bool FollowLink)
    {
        public async Task OutAsync(string container, string path, string destination, CancellationToken cancellationToken)
        {
            string? name = null;
            if (FollowLink && await Client.StatContainerPathAsync(container, path, cancellationToken).ConfigureAwait(false) is { } link && (link.Mode & LinkBit) != 0)
            {
                (path, name) = (link.LinkTarget, link.Name);
            }

            (Stream archive, ContainerPathStat stat) = await Client.CopyFromContainerAsync(container, path, cancellationToken).ConfigureAwait(false);
            await using (archive.ConfigureAwait(false))
            {
                if (destination == Standard)
                {
                    ArchiveToTerminal();
                    Stream output = Console.OpenStandardOutput();
                    await using (output.ConfigureAwait(false))
                    {
                        await archive.CopyToAsync(output, cancellationToken).ConfigureAwait(false);
                    }

                    return;
                }

                CopyTargetPlan plan = CopyTargetPlan.Of((stat.Mode & DirectoryBit) != 0, name, LocalFiles.Target(destination));
                await LocalFiles.UnpackAsync(plan.Directory, archive, stat.Name, plan.NewName, KeepOwner, cancellationToken).ConfigureAwait(false);
            }
        }

        public async Task InAsync(string source, string container, string path, CancellationToken cancellationToken)
        {
            ContainerPathStat? stat = await Client.StatContainerPathAsync(container, path, cancellationToken).ConfigureAwait(false);
            if (stat is not null && (stat.Mode & LinkBit) != 0)
            {
                path = stat.LinkTarget;
                stat = await Client.StatContainerPathAsync(container, path, cancellationToken).ConfigureAwait(false);
            }

            CopyTarget target = new(path, stat is not null, stat is not null && (stat.Mode & DirectoryBit) != 0);
            if (source == Standard)
            {
                if (target is { Exists: true, IsDirectory: false })
                {
                    throw new CommandException($"destination \"{container}:{path}\" must be a directory", 1);
                }

                Stream input = Console.OpenStandardInput();
                await using (input.ConfigureAwait(false))
                {
                    await Client.CopyToContainerAsync(container, path, input.CopyToAsync, KeepOwner, cancellationToken).ConfigureAwait(false);
                }

                return;
            }

            using LocalSource local = await LocalFiles.OpenAsync(source, FollowLink).ConfigureAwait(false);
            CopyTargetPlan plan = CopyTargetPlan.Of(local.IsDirectory, local.Name, target);
            await Client.CopyToContainerAsync(container, plan.Directory, (output, token) => local.Copy.WriteToAsync(output, plan.NewName, token), KeepOwner, cancellationToken).ConfigureAwait(false);
        }

        private static void ArchiveToTerminal() => Output.ArchiveOutput.RequireDestination(null);
    }
}
