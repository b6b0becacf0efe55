import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/** Java's own HTTP client as it is without settings: two posts, a get, and a message to a WebSocket. */
class Client {
  public static void main (String[] args) throws Exception {
    var client = HttpClient.newHttpClient();
    var post = HttpRequest.newBuilder(URI.create(args[0] + "/v1/chat/completions"))
      .header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofString(args[1])).build();
    var get = HttpRequest.newBuilder(URI.create(args[0] + "/v1/models")).build();
    for (var request : new HttpRequest[] { post, post, get }) {
      var answer = client.send(request, BodyHandlers.ofString());
      System.out.println(request.method() + " " + answer.statusCode() + " " + answer.version());
    }
    var message = new CompletableFuture<String>();
    var socket = client.newWebSocketBuilder().buildAsync(
      URI.create(args[0].replaceFirst("http", "ws") + "/v1/stream"), new WebSocket.Listener() {
        @Override public CompletionStage<?> onText (WebSocket from, CharSequence text, boolean isLast) {
          message.complete(text.toString());
          return null;
        }
      }).get(30, TimeUnit.SECONDS);
    socket.sendText("{}", true);
    var isError = message.get(30, TimeUnit.SECONDS).contains("\"type\":\"error\"");
    System.out.println("WebSocket " + (isError ? "error" : "something else"));
    socket.abort();
  }
}
