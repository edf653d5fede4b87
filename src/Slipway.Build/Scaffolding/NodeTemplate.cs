using System.Text.Json;
using System.Text.RegularExpressions;

namespace Slipway.Build.Scaffolding;

/// <summary>Node.js: packages as the lock file names them, built with all and run with those of production.</summary>
internal sealed partial class NodeTemplate : IProjectTemplate
{
    private const string DefaultVersion = "22";

    public string Name => "node";

    public bool Fits(ProjectFolder folder) => folder.Has("package.json");

    public Scaffold Make(ProjectFolder folder)
    {
        (string? engine, string? main, bool builds, bool starts) = Read(folder.Text("package.json"));
        List<string> guesses = ["the port: 3000"];
        string? version = engine is not null && Major().Match(engine) is { Success: true } match ? match.Value : null;
        if (version is null)
        {
            guesses.Add($"the version of Node.js: {DefaultVersion}");
        }

        version ??= DefaultVersion;
        Installer installer = Installer.Of(folder);
        string entry = main ?? folder.First("server.js", "index.js", "app.js") ?? "index.js";
        if (!starts && main is null)
        {
            guesses.Add($"the program: {entry}");
        }

        string file = $"""
            # syntax=docker/dockerfile:1
            FROM node:{version}-slim AS build
            WORKDIR /app
            COPY package.json {(installer.Lock is { } name ? name + " " : "")}./
            RUN --mount=type=cache,target={installer.Cache} {installer.Install}
            COPY . .

            """;
        file += builds ? $"RUN {installer.Program} run build\n" : "";
        file += $"""
            RUN {installer.Prune}

            FROM node:{version}-slim
            ENV NODE_ENV=production
            WORKDIR /app
            COPY --from=build /app .
            # The account that the image has for programs.
            USER node
            EXPOSE 3000
            CMD {(starts ? ProjectTemplates.Exec("npm", "start") : ProjectTemplates.Exec("node", entry))}

            """;
        return new Scaffold($"Node.js {version}, {installer.Program}", file, ProjectTemplates.IgnoreFile("**/node_modules", "**/npm-debug.log*", "coverage"), 3000, guesses);
    }

    /// <summary>Of a package.json that is not JSON nothing is known.</summary>
    private static (string? Engine, string? Main, bool Builds, bool Starts) Read(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            JsonElement root = document.RootElement;
            return (Text(root, "engines", "node"), Text(root, "main"), Text(root, "scripts", "build") is not null, Text(root, "scripts", "start") is not null);
        }
        catch (JsonException)
        {
            return default;
        }
    }

    private static string? Text(JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (string name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }

        return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Major();

    /// <param name="Prune">Takes away what only the build needs.</param>
    private sealed record Installer(string Program, string? Lock, string Install, string Prune, string Cache)
    {
        public static Installer Of(ProjectFolder folder) =>
            folder.Has("pnpm-lock.yaml") ? new("pnpm", "pnpm-lock.yaml", "corepack enable && pnpm install --frozen-lockfile", "CI=true pnpm prune --prod", "/root/.local/share/pnpm/store")
            : folder.Has("yarn.lock") ? new("yarn", "yarn.lock", "yarn install --frozen-lockfile", "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline", "/usr/local/share/.cache")
            : folder.Has("package-lock.json") ? new("npm", "package-lock.json", "npm ci", "npm prune --omit=dev", "/root/.npm")
            : new("npm", null, "npm install", "npm prune --omit=dev", "/root/.npm");
    }
}
