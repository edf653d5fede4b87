namespace Slipway.Build.Scaffolding;

/// <summary>Pages as they are, behind a web server without privileges.</summary>
internal sealed class StaticSiteTemplate : IProjectTemplate
{
    public string Name => "static";

    public bool Fits(ProjectFolder folder) => Root(folder) is not null;

    public Scaffold Make(ProjectFolder folder)
    {
        string root = Root(folder) ?? ".";
        string file = $"""
            # syntax=docker/dockerfile:1
            FROM alpine AS site
            COPY {root} /site
            # The server is not the owner.
            RUN chmod -R a+rX /site

            FROM nginxinc/nginx-unprivileged:stable-alpine
            COPY --from=site /site /usr/share/nginx/html
            USER 101:101
            EXPOSE 8080

            """;
        return new Scaffold($"pages in {root}", file, ProjectTemplates.IgnoreFile("**/node_modules", "**/*.map"), 8080, []);
    }

    private static string? Root(ProjectFolder folder)
    {
        foreach (string directory in (string[])[".", "public", "dist", "site", "www", "_site", "build", "html"])
        {
            if (folder.Has($"{directory}/index.html"))
            {
                return directory;
            }
        }

        return null;
    }
}
